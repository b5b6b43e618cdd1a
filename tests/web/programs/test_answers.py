"""Videos in, answers out: those that the package itself gives."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.inference.classifier import Classifier
from pipeline.inference.timeline import make_timeline
from tests.processes import workers_of


@pytest.fixture(scope="module")
def classifiers(served_runs):
    return {name: Classifier.load(folder, num_threads=1) for name, folder in served_runs.items()}


def same(found, wanted):
    """Whether JSON types are the same, numbers nearly."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return (
        found == pytest.approx(wanted, abs=1e-5) if isinstance(wanted, float) else found == wanted
    )


@pytest.mark.parametrize("run", ["videos", "both"])
def test_each_of_many_at_once_gets_its_own_answer(server, classifiers, clips, run):
    paths = sorted(clips.rglob("*.avi"))
    wanted = [classifiers[run].predict(path) for path in paths]
    # Else it would not be seen that one is another's.
    assert len({round(each.max_logit, 3) for each in wanted}) == len(paths) == 6
    with ThreadPoolExecutor(6) as threads:
        found = threads.map(
            lambda path: server.json(f"/v1/classify?run={run}&name={path.name}", path.read_bytes()),
            paths * 3,
        )
    for path, prediction, (status, answer) in zip(paths * 3, wanted * 3, found, strict=True):
        expected = prediction.as_json() | {"path": path.name}
        assert (status, same(answer, expected)) == (200, True), answer


def test_a_body_comes_as_a_form_in_pieces_or_packed(server, video):
    path = "/v1/classify?run=videos"
    wanted = server.json(path, video)
    assert (wanted[0], wanted[1]["num_frames"]) == (200, 20)
    part = (
        b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--x\r\n'
        b'Content-Disposition: form-data; name="video"; filename="../a b.avi"\r\n'
        b"Content-Type: video/x-msvideo\r\n\r\n%b\r\n--x--\r\n" % video
    )
    kind = "multipart/form-data; boundary=x"
    status, answer = server.json(f"{path}&top=1", part, Content_Type=kind)
    assert (status, answer["path"], len(answer["top"])) == (200, "a b.avi", 1)
    assert answer["num_frames"] == 20
    assert server.json(path, iter([video[:1000], video[1000:]])) == wanted
    packed, bomb = gzip.compress(video), gzip.compress(bytes(2**24))
    assert server.json(path, packed, Content_Encoding="gzip") == wanted
    assert len(bomb) < 20_000
    for body, status in ((bomb, 413), (video, 400), (packed + b"more", 400), (packed[:-9], 400)):
        assert server.json(path, body, Content_Encoding="gzip")[0] == status


def test_a_file_below_the_folder(server, classifiers, clips):
    name, kind = "inner/5.avi", "application/json; charset=utf-8"
    body = json.dumps({"path": name})
    status, answer = server.json("/v1/classify?run=videos", body, Content_Type=kind)
    wanted = classifiers["videos"].predict(clips / name).as_json() | {"path": name}
    assert (status, same(answer, wanted)) == (200, True)


@pytest.mark.parametrize(
    ("run", "query", "options"),
    [("videos", "", {}), ("both", "&overlap=0.5", {"overlap": 0.5}), ("frames", "", {})],
)
def test_a_timeline(server, classifiers, clips, run, query, options):
    path = clips / "inner/5.avi"
    found = server.json(f"/v1/timeline?run={run}&name=5.avi{query}", path.read_bytes())
    wanted = make_timeline(classifiers[run], path, **options).as_json() | {"path": "5.avi"}
    assert found[0] == 200
    assert wanted["segments"]
    assert same(found[1], wanted)


def test_what_the_server_and_a_run_say_of_themselves(server):
    assert server.json("/v2")[1]["extensions"] == []
    assert server.json("/v2/health/live") == (200, {"live": True})
    assert server.json("/v2/health/ready") == (200, {"ready": True})
    models = {each["name"]: each for each in server.json("/v1/models")[1]["models"]}
    assert list(models) == ["videos", "other", "frames", "both"]
    assert models["frames"]["answers"] == "frames"
    assert models["both"]["fused"] == 2
    status, answer = server.json("/v2/models/frames")
    assert status == 200
    assert [(e["name"], e["datatype"], e["shape"]) for e in answer["inputs"]] == [
        ("frames", "UINT8", [-1, 8, 32, 32, 3]),
        ("mask", "BOOL", [-1, 8]),
    ]
    assert {tuple(each["shape"]) for each in answer["outputs"]} == {(-1, 8, 3)}
    assert server.json("/v2/models/videos/ready")[1] == {"name": "videos", "ready": True}
    status, error = server.json("/v2/models/both")
    assert (status, "fused runs" in error["error"]) == (422, True)
    (version,) = answer["versions"]
    for end in ("", "/ready"):
        whole = server.json(f"/v2/models/frames{end}")
        assert server.json(f"/v2/models/frames/versions/{version}{end}") == whole
        assert server.json(f"/v2/models/frames/versions/0{end}")[0] == 404
    for run, path in (("frames", "/v1/timeline"), ("videos", "/v1/classify")):
        status, error = server.json(f"/v2/models/{run}/infer", b"{}")
        assert (status, path in error["error"]) == (501, True)


def test_metrics_count(server, video):
    counters = {
        'clipline_requests_total{path="/v1/classify",status="200"}': 1,
        'clipline_requests_total{path="other",status="404"}': 2,
        'clipline_request_seconds_count{path="/v1/classify"}': 1,
        'clipline_answers_total{kind="classify",run="other"}': 1,
        "clipline_received_bytes_total": len(video),
    }
    before = {name: server.gauge(name) for name in counters}
    server.ask("/v1/classify?run=other", video)
    server.ask("/none")
    server.ask("/none/2")
    assert {name: server.gauge(name) - before[name] for name in counters} == counters
    assert server.gauge("clipline_waiting_requests") == 0


def test_it_runs_without_tensorflow(server, video):
    server.json("/v1/classify?run=videos", video)
    processes = [server.process.pid, *workers_of(server.process.pid)]
    assert len(processes) > 1
    for process in processes:
        maps = Path(f"/proc/{process}/maps").read_text().lower()
        assert "litert" in maps or process != server.process.pid
        assert "tensorflow" not in maps
