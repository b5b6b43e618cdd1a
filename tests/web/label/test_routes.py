"""The app as a process, asked by a program."""

import io
import json
import os
import shutil
import signal
import struct
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.video import VideoReader
from tests.processes import workers_of
from tests.web.conftest import number_of

EVENT = {"start": 1.0, "end": 2.0, "label": "walk", "subject": "", "notes": ""}


@pytest.fixture
def app(start_app, recordings):
    return start_app(recordings.parent)


def read_through(app, video):
    """What is known of a recording once all of it is."""
    while True:
        about = app.get("/api/video", video=video)
        if about["is_complete"] or about["error"]:
            return about
        time.sleep(0.05)


def frames_of(content):
    at, found = 0, []
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        found.append(np.asarray(Image.open(io.BytesIO(content[at + 4 : at + 4 + length]))))
        at += 4 + length
    return found


def test_pages(app):
    for path, texts in (("/", [b"lab", b"2 videos"]), ("/label", [b'data-folder="lab"'])):
        status, content = app.ask(path, folder="lab", headers={"Accept": "text/html"})
        assert status == 200
        assert all(text in content for text in texts)


def test_frames_are_those_of_the_reader(app, recordings):
    about = read_through(app, "lab/a.avi")
    with VideoReader(recordings / "a.avi") as reader:
        assert reader.count() == len(about["seconds"]) == 120
    assert about["seconds"] == pytest.approx([number / 25 for number in range(120)])
    assert (about["width"], about["height"], about["duration_seconds"]) == (128, 96, 4.8)
    assert about["motion"][0] == 0 < min(about["motion"][1:])
    for first in (100, 3, 119, 40):
        _, content = app.ask("/api/video/frames", video="lab/a.avi", first=first, count=8)
        expected = list(range(first, min(first + 8, 120)))
        assert [number_of(frame) for frame in frames_of(content)] == expected
    _, content = app.ask("/api/video/frames", video="lab/a.avi", first=5, width=64)
    assert [frame.shape for frame in frames_of(content)] == [(48, 64, 3)]
    assert app.ask("/api/video/frames", video="lab/a.avi", first=120) == (200, b"")


def test_what_is_known_already_is_not_read_again(app, recordings):
    read_through(app, "lab/a.avi")
    app.process.kill()
    app.process.communicate()
    (kept,) = (recordings.parent.parent / "cache").rglob("*.npy")
    assert np.load(kept).shape == (120, 3)


def test_a_recording_that_is_known_is_there_at_once(start_app, app):
    read_through(app, "lab/a.avi")
    again = start_app(app.root)
    assert again.get("/api/video", video="lab/a.avi")["is_complete"]
    assert len(again.get("/api/video", video="lab/a.avi", **{"from": 100})["seconds"]) == 20


def test_a_file_without_frames_costs_itself(app, recordings):
    (recordings / "bad.mp4").write_bytes(b"no video")
    status, content = app.ask("/api/video", video="lab/bad.mp4")
    assert status == 422
    assert "it is text, not a video" in json.loads(content)["error"]
    assert read_through(app, "lab/b.avi")["is_complete"]


def test_events_are_saved_and_two_who_change_them_are_told(app, recordings):
    found = app.get("/api/label/folder", folder="lab")
    versions = {each["name"]: each["version"] for each in found["videos"]}
    content = {"events": [EVENT], "is_listed": True, "version": versions["a.avi"]}
    status, saved = app.put("/api/label/events", content, video="lab/a.avi")
    assert (status, saved["events"]) == (200, [EVENT])
    assert "a.avi,1.000,2.000,walk" in (recordings / "events.csv").read_text()
    other = {**content, "events": []}
    status, answer = app.put("/api/label/events", other, video="lab/a.avi")
    assert status == 409
    assert "changed in another window" in answer["error"]
    again = app.get("/api/label/folder", folder="lab")["videos"][0]
    assert (again["events"], again["version"]) == ([EVENT], saved["version"])


def test_settings_are_kept(app):
    settings = {
        "classes": [{"name": "walk", "key": "w", "is_point": False}],
        "subjects": ["Ann"],
        "begun": {"a.avi": [{**EVENT, "end": None}]},
        "rejected": {"b.avi": [EVENT]},
    }
    assert app.put("/api/label/settings", settings, folder="lab") == (200, settings)
    assert app.get("/api/label/folder", folder="lab")["settings"] == settings
    other = {"b.avi": [{**EVENT, "end": None}]}
    both = {**settings, "begun": settings["begun"] | other}
    assert app.put("/api/label/settings", {"begun": other}, folder="lab") == (200, both)
    status, found = app.put("/api/label/settings", {"begun": {"a.avi": []}}, folder="lab")
    assert (status, found["begun"]) == (200, other)
    added = {"name": "sit", "key": "s", "is_point": False}
    status, found = app.put("/api/label/settings", {"add": [added]}, folder="lab")
    assert (status, found["classes"]) == (200, [*settings["classes"], added])
    status, found = app.put("/api/label/settings", {"remove": ["walk"]}, folder="lab")
    assert (status, found["classes"]) == (200, [added])
    status, answer = app.put("/api/label/settings", {"add": [added]}, folder="lab")
    assert (status, answer["error"]) == (422, "the class sit is there twice")
    twice = {**settings, "classes": settings["classes"] * 2}
    status, answer = app.put("/api/label/settings", twice, folder="lab")
    assert (status, answer["error"]) == (422, "the class walk is there twice")


@pytest.mark.parametrize("end", [".boris.tsv", ".eaf", ".via.json", ".label-studio.json"])
def test_what_is_exported_is_imported_again(app, recordings, end):
    point = {"start": 3.0, "end": 3.04, "label": "peck", "subject": "", "notes": ""}
    events = [EVENT, point]
    content = {"events": events, "is_listed": True, "version": saved_version(app, "a.avi")}
    assert app.put("/api/label/events", content, video="lab/a.avi")[0] == 200
    status, exported = app.ask("/api/label/export", video="lab/a.avi", format=end)
    assert status == 200
    (recordings / "events.csv").unlink()
    other = {"events": [], "is_listed": True, "version": saved_version(app, "b.avi")}
    assert app.put("/api/label/events", other, video="lab/b.avi")[0] == 200
    for number in (2, 0):
        status, answer = import_file(app, exported, f"day 1{end}")
        assert (status, answer["added"]) == (200, {"a.avi": number})
    found = app.get("/api/label/folder", folder="lab")["videos"]
    assert [(each["events"], each["is_listed"]) for each in found] == [(events, True), ([], True)]


def saved_version(app, name):
    videos = app.get("/api/label/folder", folder="lab")["videos"]
    return next(each["version"] for each in videos if each["name"] == name)


def import_file(app, content, name, folder="lab"):
    kind = {"Content-Type": "application/octet-stream"}
    status, answer = app.ask(
        "/api/label/import", content, method="POST", headers=kind, folder=folder, name=name
    )
    return status, json.loads(answer)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"no events", "a.txt", "a.txt: expected a table with the columns"),
        (b"\x00\x01", "../../x.csv", "x.csv: expected text, got binary data"),
        (
            b"video,start_seconds,end_seconds,label\nz.mp4,0,1,a\n",
            "b.csv",
            "none of the recordings",
        ),
        (b"video,start_seconds,end_seconds,label\na.avi,0,x,a\n", "c.csv", "expected end_seconds"),
        (b"video,start_seconds,end_seconds,label\na.avi,0,1,a\x1bb\n", "d.csv", "can be seen"),
        (b"x", "\x00.csv", "rename the file"),
        (b"x", "a" * 300, "rename the file"),
        (b"x", "", "events: expected a table"),
    ],
)
def test_what_cannot_be_imported(app, recordings, content, name, message):
    status, answer = import_file(app, content, name)
    assert status == 422
    assert message in answer["error"]
    assert "/" not in answer["error"].partition(": ")[0]
    assert sorted(each.name for each in recordings.iterdir()) == ["a.avi", "b.avi"]


def test_notices_of_a_kind_are_told_once(app):
    rows = [f"{video}.avi,{start},{start + 1},walk" for video in "ab" for start in (50, 60)]
    content = "\n".join(["video,start_seconds,end_seconds,label,mood", *rows, "a.avi,1,2,walk"])
    status, answer = import_file(app, content.encode(), "old.csv")
    assert (status, answer["added"]) == (200, {"a.avi": 1, "b.avi": 0})
    past, column = sorted(answer["notices"], reverse=True)
    assert past.startswith("past the end: ")
    assert past.endswith(" (and 3 more)")
    assert column == "column left alone: old.csv: mood"


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/api/label/export", {"video": "lab/a.avi", "format": ".exe"}, 422),
        ("/api/label/export", {"video": "lab/none.avi", "format": ".eaf"}, 404),
        ("/api/video", {"video": "../secret.mp4"}, 404),
        ("/api/video/file", {"video": "lab/events.csv"}, 404),
        ("/api/video/file", {"video": ""}, 404),
        ("/api/video/frames", {"video": "lab/a.avi", "first": "-1"}, 400),
        ("/api/video/frames", {"video": "lab/a.avi", "count": "65"}, 400),
        ("/api/video/frames", {"video": "lab/a.avi", "width": "99999"}, 400),
        ("/api/video/frames", {"video": "lab/a.avi", "first": "1e3"}, 400),
        ("/api/label/folder", {"folder": "none"}, 404),
        ("/label", {"folder": ".."}, 404),
        ("/static/../application.py", {}, 404),
        ("/static/%2e%2e/application.py", {}, 404),
        ("/none", {}, 404),
    ],
)
def test_what_is_not_there(app, path, parameters, status):
    found, content = app.ask(path, **parameters)
    assert found == status
    assert json.loads(content)["error"]


def test_what_cannot_be_saved(app):
    put = {"method": "PUT", "video": "lab/a.avi"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert app.ask("/api/label/events", b"events=", headers=form, **put)[0] == 415
    assert app.ask("/api/label/events", b"{", **put)[0] == 400
    assert app.ask("/api/label/events", b"[" * 100_000, **put)[0] == 400
    assert app.ask("/api/label/events", b" " * (2**24 + 1), **put)[0] == 413
    assert app.ask("/api/label/events", {"events": 3}, **put)[0] == 422
    assert app.ask("/api/label/events", {"events": []}, method="PUT", video="lab/c.avi")[0] == 404
    assert app.ask("/api/label/events", {"events": []}, method="POST", video="lab/a.avi")[0] == 405


def test_the_file_itself_and_parts_of_it(app, recordings):
    content = (recordings / "b.avi").read_bytes()
    assert app.ask("/api/video/file", video="lab/b.avi") == (200, content)
    part = {"Range": "bytes=100-199"}
    assert app.ask("/api/video/file", video="lab/b.avi", headers=part) == (206, content[100:200])
    many = {"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 20_000, 2))}
    status, found = app.ask("/api/video/file", video="lab/b.avi", headers=many)
    assert status in (200, 206, 400, 416)
    assert len(found) < 20 * len(content)


def test_a_file_that_was_replaced_is_read_anew(app, recordings):
    read_through(app, "lab/a.avi")
    shutil.copy(recordings / "b.avi", recordings / "a.avi")
    assert len(read_through(app, "lab/a.avi")["seconds"]) == 60
    _, content = app.ask("/api/video/frames", video="lab/a.avi", first=59)
    assert [number_of(frame) for frame in frames_of(content)] == [59]


def test_a_process_that_dies_costs_what_it_was_at(app):
    read_through(app, "lab/a.avi")
    for worker in workers_of(app.process.pid):
        os.kill(worker, signal.SIGKILL)
    for _ in range(2):
        status, _ = app.ask("/api/video/frames", video="lab/a.avi", first=59)
    assert status == 200
    assert read_through(app, "lab/b.avi")["is_complete"]
