"""What is refused: each with a status, one sentence as JSON, and nothing left behind."""

import json
import os
import socket

import numpy as np
import pytest

from pipeline.video import write_video

JSON = {"Content_Type": "application/json"}
VIDEO = {"Content_Type": "video/mp4"}


@pytest.fixture(scope="module")
def bodies(clips, tmp_path_factory):
    """By name, bodies of requests."""
    folder = tmp_path_factory.mktemp("bodies")
    large = np.zeros((3, 80, 60, 3), np.uint8)
    write_video(folder / "large.avi", large, fps=10, codec="FFV1")
    write_video(folder / "long.avi", np.zeros((21, 16, 16, 3), np.uint8), fps=1, codec="FFV1")
    data = (clips / "0.avi").read_bytes()
    return {
        "good": data,
        "empty": b"",
        "text": b"no video",
        "zeros": bytes(1000),
        "cut": data[:200],
        "large": (folder / "large.avi").read_bytes(),
        "long": (folder / "long.avi").read_bytes(),
        "many bytes": bytes(300_000),
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n",
        "no form": b"--y\r\n\r\n--y--\r\n",
        "no file": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
        "page in form": b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n'
        b"Content-Type: text/html\r\n\r\n1\r\n--x--\r\n",
        "two files": 2
        * b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n1\r\n'
        + b"--x--\r\n",
        "cut form": b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n1',
        "named": b'{"path": "none.avi"}',
        "named otherwise": b'{"file": "0.avi"}',
        "no json": b"{",
        "deep json": b"[" * 60_000,
    }


FORM = {"Content_Type": "multipart/form-data; boundary=x"}
CLASSIFY = "/v1/classify?run=videos"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
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
        (CLASSIFY, "good", {"Content_Type": "text/html"}, 415, "expected a video"),
        (CLASSIFY, "good", {"Content_Encoding": "br"}, 415, "expected a body as it is"),
        (CLASSIFY, "empty", VIDEO, 422, "it is empty (0 bytes)"),
        (CLASSIFY, "text", VIDEO, 422, "it is text, not a video"),
        (CLASSIFY, "zeros", VIDEO, 422, "no video that OpenCV can decode is in it"),
        (CLASSIFY, "cut", VIDEO, 422, "no video that OpenCV can decode is in it"),
        (CLASSIFY, "large", VIDEO, 422, "its frames have 60 x 80 pixels, and 4,000 in all"),
        (CLASSIFY, "long", VIDEO, 422, "it lasts 0:21.0 or longer, and 0:20.0 are allowed"),
        ("/v1/timeline?run=videos", "long", VIDEO, 422, "it lasts 0:21.0 or longer"),
        ("/v1/timeline?run=videos", "text", VIDEO, 422, "it is text, not a video"),
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
    ],
)
def test_one_sentence_says_why(server, bodies, path, body, headers, status, reason):
    found, answer = server.json(path, bodies[body] if body else None, **headers)
    assert (found, answer.keys()) == (status, {"error"})
    assert reason in answer["error"]
    assert str(server.uploads) not in answer["error"]
    assert list(server.uploads.iterdir()) == []


def test_a_body_that_turns_out_too_large(server, bodies):
    """It comes in pieces, and does not say how many bytes it has."""
    pieces = iter([bytes(50_000)] * 6)
    status, answer = server.json(CLASSIFY, pieces, **VIDEO)
    assert (status, "more than 204,800 bytes" in answer["error"]) == (413, True)
    assert list(server.uploads.iterdir()) == []


def test_who_sends_on_hears_why_it_is_too_large(server):
    """More than the network holds: it must be read, or the answer is lost with the connection."""
    status, answer = server.json(CLASSIFY, bytes(30_000_000), **VIDEO)
    assert (status, "more than 204,800 bytes" in answer["error"]) == (413, True)


def test_a_list_of_other_files_is_not_followed(server, clips):
    path = clips / "list.avi"
    path.write_text("ffconcat version 1.0\nfile 0.avi\n")
    try:
        status, answer = server.json(CLASSIFY, json.dumps({"path": "list.avi"}), **JSON)
    finally:
        path.unlink()
    assert (status, "it is text, not a video" in answer["error"]) == (422, True)


def test_who_waits_for_leave_to_send_is_told_at_once(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/classify?run=videos HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 300000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.avi",
        "/etc/passwd",
        "inner/../../secret.avi",
        "out.avi",
        "outside/secret.avi",
        "inner",
        "pipe",
        "",
        "a\0b",
        "%2e%2e/secret.avi",
        "..\\secret.avi",
        "\ud800.avi",
        3,
        ["0.avi"],
        "x" * 5000,
    ],
)
def test_nothing_outside_of_the_folder_is_named(server, clips, name):
    secret = clips.parent / "secret.avi"
    for link, target in (("out.avi", secret), ("outside", clips.parent)):
        if not (clips / link).is_symlink():
            secret.write_bytes((clips / "0.avi").read_bytes())
            (clips / link).symlink_to(target)
    if not (clips / "pipe").exists():
        os.mkfifo(clips / "pipe")
    try:
        status, answer = server.json(CLASSIFY, json.dumps({"path": name}), **JSON)
    finally:
        for each in ("out.avi", "outside", "pipe"):
            (clips / each).unlink()
    assert status == 404
    assert answer["error"].startswith("no such file in the folder of the server")
