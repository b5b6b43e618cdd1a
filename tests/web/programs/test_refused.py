"""What is refused: each with a status, one sentence as JSON, and nothing left behind."""

import json
import os

import numpy as np
import pytest

from pipeline.video import write_video

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
        (
            "/v1/timeline?run=videos&window=3",
            "good",
            {},
            422,
            "window: dense clips of this run last",
        ),
        ("/v1/classify?run=frames", "good", {}, 422, "/v1/timeline"),
        (CLASSIFY, "good", {"Content_Type": "text/html"}, 415, "expected a video"),
        (CLASSIFY, "good", {"Content_Encoding": "br"}, 415, "expected a body as it is"),
        (CLASSIFY, "empty", VIDEO, 422, "it is empty (0 bytes)"),
        (CLASSIFY, "text", VIDEO, 422, "it is text, not a video"),
        (CLASSIFY, "cut", VIDEO, 422, "no video that OpenCV can decode is in it"),
        (CLASSIFY, "large", VIDEO, 422, "its frames have 60 x 80 pixels, and 4,000 in all"),
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
    ],
)
def test_one_sentence_says_why(server, bodies, path, body, headers, status, reason):
    found, answer = server.json(path, bodies[body] if body else None, **headers)
    assert (found, answer.keys()) == (status, {"error"})
    assert reason in answer["error"]
    assert str(server.uploads) not in answer["error"]
    assert list(server.uploads.iterdir()) == []


def test_a_body_that_is_too_large_is_told_before_and_after_it_came(server):
    """It comes in pieces and does not say how many bytes it has, or is more than the network holds.

    That must be read, or the answer is lost with the connection.
    """
    for body in (iter([bytes(50_000)] * 6), bytes(30_000_000)):
        status, answer = server.json(CLASSIFY, body, **VIDEO)
        assert (status, "more than 204,800 bytes" in answer["error"]) == (413, True)
        assert list(server.uploads.iterdir()) == []
    head = ["Content-Length: 300000", "Expect: 100-continue"]
    with server.sent(head, path=CLASSIFY) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


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


def test_nothing_outside_of_the_folder_is_named(server, links):
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
