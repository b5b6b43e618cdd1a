"""Videos in, answers out; what is refused; and what starts and stops the server."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.serve import main
from pipeline.errors import PipelineError
from pipeline.inference.classifier import Classifier
from pipeline.inference.timeline import make_timeline
from pipeline.video import write_video
from pipeline.web.programs.application import OPEN_PATHS, application
from pipeline.web.programs.models import Models
from pipeline.web.programs.openapi import document
from pipeline.web.programs.options import Options
from tests.processes import workers_of
from tests.web.asgi import asked_of
from tests.web.programs.conftest import CODE


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
    assert len({round(each.max_logit, 4) for each in wanted}) == len(paths) == 6
    with ThreadPoolExecutor(6) as threads:
        found = threads.map(
            lambda path: server.json(f"/v1/classify?run={run}&name={path.name}", path.read_bytes()),
            paths * 3,
        )
    for path, prediction, (status, answer) in zip(paths * 3, wanted * 3, found, strict=True):
        expected = prediction.as_json() | {"path": path.name}
        assert (status, same(answer, expected)) == (200, True), answer


def test_a_body_comes_as_a_form_in_pieces_or_packed_and_one_too_large_is_told(server, video):
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
    # All of one that is too large must be read, or the answer is lost with the connection.
    for body in (iter([bytes(50_000)] * 6), bytes(30_000_000)):
        status, answer = server.json(CLASSIFY, body, **VIDEO)
        assert (status, "more than 204,800 bytes" in answer["error"]) == (413, True)
        assert list(server.uploads.iterdir()) == []
    head = ["Content-Length: 300000", "Expect: 100-continue"]
    with server.sent(head, path=CLASSIFY) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_file_below_the_folder_is_answered_and_none_outside(server, classifiers, clips, links):
    name, kind = "inner/5.avi", "application/json; charset=utf-8"
    status, answer = server.json(CLASSIFY, json.dumps({"path": name}), Content_Type=kind)
    wanted = classifiers["videos"].predict(clips / name).as_json() | {"path": name}
    assert (status, same(answer, wanted)) == (200, True)
    for name in (
        *("../secret.avi", "/etc/passwd", "inner/../../secret.avi", "inner/../inner/5.avi"),
        *("out.avi", "outside/secret.avi", "inner", "pipe", "", "a\0b", "%2e%2e/secret.avi"),
        *("..\\secret.avi", "\ud800.avi", 3, ["0.avi"], "x" * 5000),
    ):
        status, answer = server.json(CLASSIFY, json.dumps({"path": name}), **JSON)
        assert status == 404, name
        assert answer["error"].startswith("no such file in the folder of the server")
    # A list of other files is not followed.
    status, answer = server.json(CLASSIFY, json.dumps({"path": "list.avi"}), **JSON)
    assert (status, "it is text, not a video" in answer["error"]) == (422, True)


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


def test_metrics_count_and_no_tensorflow_is_there(server, video):
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
    processes = [server.process.pid, *workers_of(server.process.pid)]
    assert len(processes) > 1
    for process in processes:
        maps = Path(f"/proc/{process}/maps").read_text().lower()
        assert "litert" in maps or process != server.process.pid
        assert "tensorflow" not in maps


JSON = {"Content_Type": "application/json"}
VIDEO = {"Content_Type": "video/mp4"}


PART = b'--x\r\nContent-Disposition: form-data; name="a"'
FILE = PART + b'; filename="a"\r\n'


@pytest.fixture(scope="module")
def bodies(video, tmp_path_factory):
    """By name, bodies of requests."""
    folder = tmp_path_factory.mktemp("bodies")
    large, long = np.zeros((3, 80, 60, 3), np.uint8), np.zeros((21, 16, 16, 3), np.uint8)
    write_video(folder / "large.avi", large, fps=10, codec="FFV1")
    write_video(folder / "long.avi", long, fps=1, codec="FFV1")
    return {
        "good": video,
        "empty": b"",
        "text": b"no video",
        "cut": video[:200],
        "large": (folder / "large.avi").read_bytes(),
        "long": (folder / "long.avi").read_bytes(),
        "many bytes": bytes(300_000),
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n",
        "no form": b"--y\r\n\r\n--y--\r\n",
        "no file": PART + b"\r\n\r\n1\r\n--x--\r\n",
        "page in form": FILE + b"Content-Type: text/html\r\n\r\n1\r\n--x--\r\n",
        "two files": 2 * (FILE + b"\r\n1\r\n") + b"--x--\r\n",
        "cut form": FILE + b"\r\n1",
        "named": b'{"path": "none.avi"}',
        "named otherwise": b'{"file": "0.avi"}',
        "no json": b"{",
        "deep json": b"[" * 60_000,
    }


FORM = {"Content_Type": "multipart/form-data; boundary=x"}
CLASSIFY = "/v1/classify?run=videos"


def test_one_sentence_says_why(server, bodies):
    for path, body, headers, status, reason in (
        ("/none", None, {}, 404, "there is nothing here"),
        ("/v1/classify", None, {}, 405, "another method"),
        ("/v1/classify", "good", {}, 400, "there are several runs: add ?run= and one of videos"),
        ("/v1/classify?run=video", "good", {}, 404, "no run video here. Did you mean videos?"),
        ("/v2/models/video", None, {}, 404, "no run video here. Did you mean videos?"),
        (f"{CLASSIFY}&top=0", "good", {}, 422, "top: expected at least 1"),
        (f"{CLASSIFY}&top=x", "good", {}, 422, "top: expected a whole number, got 'x'"),
        (f"{CLASSIFY}&tpo=1", "good", {}, 422, "query: unknown tpo. Did you mean top?"),
        (f"{CLASSIFY}&top=1&top=2", "good", {}, 422, "query: expected each setting once"),
        ("/v1/timeline?run=videos&overlap=nan", "good", {}, 422, "overlap must be from 0 to below"),
        ("/v1/timeline?run=frames&overlap=0.5", "good", {}, 422, "overlap is not for this run"),
        ("/v1/timeline?run=videos&window=3", "good", {}, 422, "window: dense clips of this run"),
        ("/v1/classify?run=frames", "good", {}, 422, "/v1/timeline"),
        (CLASSIFY, "good", {"Content_Type": "text/html"}, 415, "expected a video"),
        (CLASSIFY, "good", {"Content_Encoding": "br"}, 415, "expected a body as it is"),
        (CLASSIFY, "empty", VIDEO, 422, "it is empty (0 bytes)"),
        (CLASSIFY, "text", VIDEO, 422, "it is text, not a video"),
        (CLASSIFY, "cut", VIDEO, 422, "no video that OpenCV can decode is in it"),
        (
            CLASSIFY,
            "large",
            VIDEO,
            422,
            "60 x 80 pixels, 4,800 in all, and 4,000 are allowed; make",
        ),
        (CLASSIFY, "long", VIDEO, 422, "it lasts 0:21.0 or longer, and 0:20.0 are allowed"),
        ("/v1/timeline?run=videos", "long", VIDEO, 422, "it lasts 0:21.0 or longer"),
        (CLASSIFY, "many bytes", VIDEO, 413, "the body has more than 204,800 bytes"),
        (CLASSIFY, "playlist", VIDEO, 422, "it is text, not a video"),
        (CLASSIFY, "no form", FORM, 400, "expected a form with one file"),
        (CLASSIFY, "good", {"Content_Type": "multipart/form-data"}, 400, "it has no boundary"),
        (CLASSIFY, "no file", FORM, 400, "no file is in it"),
        (CLASSIFY, "cut form", FORM, 400, "it is cut off"),
        (CLASSIFY, "two files", FORM, 400, "it has several files"),
        (CLASSIFY, "page in form", FORM, 415, "expected a video"),
        (CLASSIFY, "named", JSON, 404, "no such file in the folder of the server"),
        (CLASSIFY, "named otherwise", JSON, 422, 'expected {"path": "walk.mp4"}'),
        (CLASSIFY, "no json", JSON, 422, 'expected {"path": "walk.mp4"}'),
        (CLASSIFY, "deep json", JSON, 422, 'expected {"path": "walk.mp4"}'),
    ):
        found, answer = server.json(path, bodies[body] if body else None, **headers)
        assert (found, answer.keys()) == (status, {"error"})
        assert reason in answer["error"]
        assert str(server.uploads) not in answer["error"]
        assert list(server.uploads.iterdir()) == []


@pytest.fixture
def links(clips, video):
    """What is in the folder of the server and must not be followed out of it, or read."""
    secret, found = clips.parent / "secret.avi", ("out.avi", "outside", "pipe", "list.avi")
    secret.write_bytes(video)
    (clips / "out.avi").symlink_to(secret)
    (clips / "outside").symlink_to(clips.parent)
    os.mkfifo(clips / "pipe")
    (clips / "list.avi").write_text("ffconcat version 1.0\nfile 0.avi\n")
    yield
    for name in found:
        (clips / name).unlink()


def test_a_token_from_the_environment_is_wanted_and_not_printed(start, served_runs, video):
    runs, place = (served_runs["videos"], served_runs["other"]), ("--host", "0.0.0.0")  # noqa: S104
    server = start(*runs, *place, token="secret")
    assert "http://0.0.0.0:" in server.said
    assert "secret" not in server.said
    assert "-H 'Authorization: Bearer TOKEN' " in server.said
    assert "?run=videos" in server.said
    path = "/v1/classify?run=videos"
    status, answer = server.json(path, video)
    assert (status, "Authorization: Bearer TOKEN" in answer["error"]) == (401, True)
    asked = set(asked_of(application(Models([]), Options()).routes))
    opened = {each for each in asked if server.ask(each[1], method=each[0])[0] != 401}
    assert opened == {each for each in asked if each[1] in OPEN_PATHS}
    assert server.ask("/v2/health/live")[0] == 200
    assert server.ask("/v2/health/ready")[0] == 200
    for name in ("localhost", "lab"):  # Others are let in, too.
        assert server.json(path, video, Host=name, Authorization="Bearer secret")[0] == 200


def test_the_page_is_of_files_of_the_server_and_the_document_names_what_there_is(server, video):
    """Its own policy forbids scripts and styles within it, and those of others."""
    status, about, page = server.ask("/docs")
    assert (status, about["content-type"]) == (200, "text/html; charset=utf-8")
    text = page.decode()
    assert "<style" not in text
    assert re.findall(r"<script(?! src=)", text) == []
    assert re.findall(r"https?://|\bon\w+=", text) == []
    wanted = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    assert {"/docs/docs.js", "/docs/docs.css", "/openapi.json"} <= set(wanted)
    for path in wanted:
        assert server.ask(path)[0] == 200, path
    status, about, _ = server.ask("/")
    assert (status, about["location"]) == (303, "/docs")
    status, found = server.json("/openapi.json")
    assert (status, found) == (200, document(["videos", "other", "frames", "both"]))
    assert found["openapi"] == "3.1.0"
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    schemas = found["components"]["schemas"]
    assert names <= set(schemas)
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            codes = operation["responses"]
            assert codes.keys() >= {"200", "401"}
            assert ("413" in codes) == ("requestBody" in operation)
            body = b"" if method == "post" else None
            status = server.ask(path.replace("{name}", "videos"), body)[0]
            assert status not in (404, 405, 500), path
    for kind, name in (("classify", "Prediction"), ("timeline", "Timeline")):
        answer = server.json(f"/v1/{kind}?run=videos", video)[1]
        assert set(answer) == set(schemas[name]["required"])


def test_what_stops_it_is_one_line(served_runs, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")  # Set by it; taken back afterwards.
    copy = tmp_path / "videos"
    copy.mkdir()
    for file in served_runs["other"].iterdir():
        (copy / file.name).symlink_to(file)
    for arguments, reason in (
        (["{videos}", "{copy}"], "two runs are called videos"),
        (["none"], "none: no trained model here"),
        (["{videos}", "--folder", "none"], "--folder: none is no folder"),
        (["{videos}", "--most-bytes", "many"], "--most-bytes: expected bytes, such as 500M"),
        (["{videos}", "--timeout", "0"], "--timeout must be above 0"),
        (["{videos}", "--workers", "-1"], "--workers must be at least 0"),
        (["{videos}", "--host", "::", "--no-token"], "others can reach needs a token"),
        (["{videos}", "--token", "a", "--no-token"], "--token and --no-token contradict"),
    ):
        words = [word.format(videos=served_runs["videos"], copy=copy) for word in arguments]
        with pytest.raises(PipelineError, match=reason) as stopped:
            main(["--port", "0", *words])
        assert "\n" not in str(stopped.value)


def test_a_package_that_is_missing_is_named_and_ctrl_c_ends_it(start, served_runs):
    code = CODE.format(patches="sys.modules['python_multipart'] = None")
    command = [sys.executable, "-c", code, served_runs["videos"]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install -e '.[web]'" in done.stderr
    assert done.stderr.count("\n") == 1
    server = start("--run", served_runs["frames"])
    address = f"http://127.0.0.1:{server.port}/v1/timeline"
    assert f"curl --data-binary @NEW.mp4 '{address}'" in server.said
    assert server.ended(signal.SIGINT) == ""
