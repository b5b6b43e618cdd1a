"""Starting the server: its token, its page, and what stops it."""

import json
import re
import signal
import subprocess
import sys

import pytest

from pipeline.cli.serve import main
from pipeline.errors import PipelineError
from pipeline.web.programs.application import OPEN_PATHS, application
from pipeline.web.programs.models import Models
from pipeline.web.programs.openapi import document
from pipeline.web.programs.options import Options
from tests.web.asgi import asked_of
from tests.web.programs.conftest import CODE


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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{videos}", "{copy}"], "two runs are called videos"),
        (["none"], "none: no trained model here"),
        (["{videos}", "--folder", "none"], "--folder: none is no folder"),
        (["{videos}", "--most-bytes", "many"], "--most-bytes: expected bytes, such as 500M"),
        (["{videos}", "--timeout", "0"], "--timeout must be above 0"),
        (["{videos}", "--workers", "-1"], "--workers must be at least 0"),
        (["{videos}", "--host", "::", "--no-token"], "others can reach needs a token"),
        (["{videos}", "--token", "a", "--no-token"], "--token and --no-token contradict"),
    ],
)
def test_what_stops_it_is_one_line(served_runs, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")  # Set by it; taken back afterwards.
    copy = tmp_path / "videos"
    copy.mkdir()
    for file in served_runs["other"].iterdir():
        (copy / file.name).symlink_to(file)
    words = [word.format(videos=served_runs["videos"], copy=copy) for word in arguments]
    with pytest.raises(PipelineError, match=reason) as stopped:
        main(["--port", "0", *words])
    assert "\n" not in str(stopped.value)


def test_a_package_that_is_missing_is_named(served_runs):
    code = CODE.format(patches="sys.modules['python_multipart'] = None")
    command = [sys.executable, "-c", code, served_runs["videos"]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install -e '.[web]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_it(start, served_runs):
    server = start("--run", served_runs["frames"])
    address = f"http://127.0.0.1:{server.port}/v1/timeline"
    assert f"curl --data-binary @NEW.mp4 '{address}'" in server.said
    assert server.ended(signal.SIGINT) == ""
