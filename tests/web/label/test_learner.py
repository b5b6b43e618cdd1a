"""What the pages for labelling ask for and what is learnt in the background, asked by a program."""

import io
import json
import os
import shutil
import signal
import struct
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from pipeline.video import VideoReader
from tests.processes import wait_until, workers_of
from tests.web.conftest import number_of

EVENT = {"start": 1.0, "end": 2.0, "label": "walk", "subject": "", "notes": ""}
HEAD = b"video,start_seconds,end_seconds,label\n"


def frames_of(app, video, **parameters):
    status, content = app.ask("/api/video/frames", video=video, **parameters)
    assert status == 200
    at, found = 0, []
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        found.append(np.asarray(Image.open(io.BytesIO(content[at + 4 : at + 4 + length]))))
        at += 4 + length
    return found


def test_frames_are_those_of_the_reader_and_a_file_is_given_whole_or_in_part(app, lab):
    video = f"{lab.name}/a.avi"
    about = app.read_through(video)
    with VideoReader(lab / "a.avi") as reader:
        assert reader.count() == len(about["seconds"]) == 120
    assert about["seconds"] == pytest.approx([number / 25 for number in range(120)])
    assert (about["width"], about["height"], about["duration_seconds"]) == (128, 96, 4.8)
    assert about["motion"][0] == 0 < min(about["motion"][1:])
    for first in (100, 3, 119, 40):
        found = frames_of(app, video, first=first, count=8)
        assert [number_of(frame) for frame in found] == list(range(first, min(first + 8, 120)))
    assert [each.shape for each in frames_of(app, video, first=5, width=64)] == [(48, 64, 3)]
    assert frames_of(app, video, first=120) == []
    content, video = (lab / "b.avi").read_bytes(), f"{lab.name}/b.avi"
    assert app.ask("/api/video/file", video=video) == (200, content)
    part = {"Range": "bytes=100-199"}
    assert app.ask("/api/video/file", video=video, headers=part) == (206, content[100:200])
    (lab / "bad.mp4").write_bytes(b"no video")
    status, content = app.ask("/api/video", video=f"{lab.name}/bad.mp4")
    assert status == 422
    assert "it is text, not a video" in json.loads(content)["error"]
    shutil.copy(lab / "b.avi", lab / "a.avi")
    assert len(app.read_through(f"{lab.name}/a.avi")["seconds"]) == 60
    found = frames_of(app, f"{lab.name}/a.avi", first=59)
    assert [number_of(frame) for frame in found] == [59]


def test_settings_are_kept(app, lab):
    def put(changes):
        return app.put("/api/label/settings", changes, folder=lab.name)

    settings = {
        "classes": [{"name": "walk", "key": "w", "is_point": False}],
        "subjects": ["Ann"],
        "begun": {"a.avi": [{**EVENT, "end": None}]},
        "rejected": {"b.avi": [EVENT]},
    }
    assert put(settings) == (200, settings)
    assert app.get("/api/label/folder", folder=lab.name)["settings"] == settings
    other = {"b.avi": [{**EVENT, "end": None}]}
    assert put({"begun": other}) == (200, {**settings, "begun": settings["begun"] | other})
    status, found = put({"begun": {"a.avi": []}})
    assert (status, found["begun"]) == (200, other)
    added = {"name": "sit", "key": "s", "is_point": False}
    assert put({"add": [added]})[1]["classes"] == [*settings["classes"], added]
    assert put({"remove": ["walk"]})[1]["classes"] == [added]
    assert put({"add": [added]}) == (422, {"error": "the class sit is there twice"})
    twice = {**settings, "classes": settings["classes"] * 2}
    assert put(twice) == (422, {"error": "the class walk is there twice"})


def test_what_is_exported_is_imported_again_and_what_cannot_be_is_told(app, lab):
    def import_file(content, name):
        asked = {"folder": lab.name, "name": name, "method": "POST"}
        headers = {"Content-Type": "application/octet-stream"}
        status, answer = app.ask("/api/label/import", content, headers=headers, **asked)
        return status, json.loads(answer)

    for content, name, message in (
        (b"no events", "a.txt", "a.txt: expected a table with the columns"),
        (b"\x00\x01", "../../x.csv", "x.csv: expected text, got binary data"),
        (HEAD + b"z.mp4,0,1,a\n", "b.csv", "none of the recordings"),
        (HEAD + b"a.avi,0,x,a\n", "c.csv", "expected end_seconds"),
        (HEAD + b"a.avi,0,1,a\x1bb\n", "d.csv", "can be seen"),
        (b"x", "\x00.csv", "rename the file"),
        (b"x", "a" * 300, "rename the file"),
        (b"x", "", "events: expected a table"),
    ):
        status, answer = import_file(content, name)
        assert (status, message in answer["error"]) == (422, True), answer
        assert "/" not in answer["error"].partition(": ")[0]
        assert sorted(each.name for each in lab.iterdir()) == ["a.avi", "b.avi"]
    events = [EVENT, {**EVENT, "start": 3.0, "end": 3.04, "label": "peck"}]
    assert app.save(f"{lab.name}/a.avi", events=events)[0] == 200
    for end in (".boris.tsv", ".eaf"):
        status, exported = app.ask("/api/label/export", video=f"{lab.name}/a.avi", format=end)
        assert status == 200
        (lab / "events.csv").unlink()
        assert app.save(f"{lab.name}/b.avi", events=[], is_listed=True)[0] == 200
        for number in (2, 0):
            status, answer = import_file(exported, f"day 1{end}")
            assert (status, answer["added"]) == (200, {"a.avi": number})
        found = app.get("/api/label/folder", folder=lab.name)["videos"]
        listed = [(each["events"], each["is_listed"]) for each in found]
        assert listed == [(events, True), ([], True)]
    # Notices of a kind are told once.
    rows = [f"{video}.avi,{start},{start + 1},walk" for video in "ab" for start in (50, 60)]
    content = "\n".join(["video,start_seconds,end_seconds,label,mood", *rows, "a.avi,2,3,walk"])
    status, answer = import_file(content.encode(), "old.csv")
    assert (status, answer["added"]) == (200, {"a.avi": 1, "b.avi": 0})
    past, column = sorted(answer["notices"], reverse=True)
    assert past.startswith("past the end: ")
    assert past.endswith(" (and 3 more)")
    assert column == "column left alone: old.csv: mood"


def test_what_is_not_there_and_what_cannot_be_saved(app, lab):
    for path, parameters, status in (
        ("/api/label/export", {"video": "a.avi", "format": ".exe"}, 422),
        ("/api/label/export", {"video": "none.avi", "format": ".eaf"}, 404),
        *(("/api/video/frames", {"video": "a.avi", "first": each}, 400) for each in ("-1", "1e3")),
        ("/api/video/frames", {"video": "a.avi", "count": "65"}, 400),
        ("/api/video/frames", {"video": "a.avi", "width": "99999"}, 400),
        ("/api/video", {"video": "../../secret.mp4"}, 404),
        *(("/api/video/file", {"video": each}, 404) for each in ("events.csv", "")),
        ("/api/label/folder", {"folder": "none"}, 404),
        ("/label", {"folder": ".."}, 404),
        *((f"/static/{each}/application.py", {}, 404) for each in ("..", "%2e%2e")),
        *((f"/api/try/0/{each}", {}, 404) for each in ("download", "explanation")),
        ("/api/video", {"tried": "../../etc/passwd"}, 404),
        ("/none", {}, 404),
    ):
        inside = {k: f"{lab.name}/{v}" if k == "video" else v for k, v in parameters.items()}
        found, content = app.ask(path, **inside)
        assert found == status, path
        assert json.loads(content)["error"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for content, status, options in (
        (b"events=", 415, {"headers": form}),
        (b"{", 400, {}),
        (b"[" * 100_000, 400, {}),
        (b" " * (2**24 + 1), 413, {}),
        ({"events": 3}, 422, {}),
        ({"events": []}, 404, {"video": f"{lab.name}/c.avi"}),
        ({"events": []}, 405, {"method": "POST"}),
    ):
        options = {"method": "PUT", "video": f"{lab.name}/a.avi", **options}
        assert app.ask("/api/label/events", content, **options)[0] == status
    assert not (lab / "events.csv").exists()


class Folder:
    """A folder of an app, and what was marked in its recordings."""

    def __init__(self, app, path, events):
        self.app, self.path = app, path
        self.get = partial(app.get, folder=path.name)
        self.truth = {
            name: [{**EVENT, "start": a, "end": b, "label": label} for a, b, label in marked]
            for name, marked in events.items()
        }

    def learnt(self, **wanted):
        """What is learnt, once it is all that can be."""
        deadline = time.monotonic() + 120  # It gives way to whatever else runs.
        while time.monotonic() < deadline:
            found = self.get("/api/label/learnt")
            if is_learnt(found) and all(found[name] == value for name, value in wanted.items()):
                return found
            time.sleep(0.1)
        raise AssertionError(found)

    def save(self, *videos, **changes):
        """Saves what was marked in recordings, or something else."""
        for video in videos:
            content = {"is_listed": False, "events": self.truth[video], "watched": [], **changes}
            status, answer = self.app.save(f"{self.path.name}/{video}", **content)
            assert status == 200, answer

    def proposals(self, video):
        found = self.app.get("/api/label/proposals", video=f"{self.path.name}/{video}", run="")
        return found["proposals"]


def is_learnt(found):
    is_busy = found["is_learning"] or found["is_scoring"]
    return found["described"] == found["recordings"] and not is_busy


def recordings_of(found):
    return {each["recording"] for each in found["stretches"]}


@pytest.fixture
def folder(app, moving, tmp_path):
    """A folder of the app with six recordings of things that move."""
    videos, events = moving
    return Folder(app, shutil.copytree(videos, app.root / tmp_path.name), events)


def test_labels_teach_and_more_labels_teach_anew(folder):
    found = folder.learnt(events=0)
    assert recordings_of(found) == set(folder.truth)
    assert found["curve"] == []
    assert folder.proposals("g5.avi") == []
    folder.save("g0.avi", "g1.avi")
    found = folder.learnt(events=4)
    assert recordings_of(found) == set(folder.truth) - {"g0.avi", "g1.avi"}
    assert len(found["curve"]) == 4
    assert {each["label"] for each in folder.proposals("g5.avi")} <= {"left", "right"}
    folder.save("g2.avi", "g3.avi", "g4.avi")
    assert folder.learnt(events=10)["lesson"] > found["lesson"]
    found = folder.proposals("g5.avi")
    for event in folder.truth["g5.avi"]:
        near = [each for each in found if each["label"] == event["label"]]
        assert any(abs(each["start"] - event["start"]) < 0.7 for each in near), found


def test_what_was_watched_is_not_shown_and_what_is_alike_is_found(folder):
    folder.save("g0.avi", watched=[[0.0, 6.0]])
    folder.save("g1.avi", events=[], watched=[[0.0, 6.0]])  # A rejected stretch.
    table = folder.path / "events.csv"
    before = table.read_bytes()
    found = folder.learnt(events=2)
    assert "g1.avi" not in recordings_of(found)
    assert found["labelled"] == 1
    assert table.read_bytes() == before  # What is learnt changes no table.
    assert table.read_text().splitlines()[-1] == "g1.avi,0.000,6.000,*,,"
    event = folder.truth["g0.avi"][0]
    asked = {"video": f"{folder.path.name}/g0.avi", "start": event["start"], "end": event["end"]}
    similar = partial(folder.app.ask, "/api/label/similar")
    found = folder.app.get("/api/label/similar", **asked)
    assert found["stretches"]
    assert not recordings_of(found) & {"g0.avi", "g1.avi"}  # They were watched.
    for each in found["stretches"]:
        assert each["end"] - each["start"] == pytest.approx(2.0)
    for wrong in ({"start": "x"}, {"start": -1}, {"start": "nan"}, {"start": "1e99"}):
        assert similar(**{**asked, **wrong})[0] == 400
    assert similar(**{**asked, "video": "../x.avi"})[0] == 404
    folder.save(*folder.truth)
    assert folder.learnt(labelled=6)["stretches"] == []
    assert folder.app.get("/api/label/similar", **asked) == {"stretches": []}


def test_a_file_that_cannot_be_read_hinders_nothing_and_is_read_anew(folder):
    broken = folder.path / "broken.avi"
    broken.write_bytes(b"x" * 1000)
    folder.save("g0.avi")
    found = folder.learnt(events=2)
    assert list(found["failed"]) == ["broken.avi"]
    assert found["stretches"]
    shutil.copy(folder.path / "g0.avi", broken)
    found = folder.learnt(failed={})
    assert found["described"] == found["recordings"] == 7
    assert "broken.avi" in recordings_of(found)
    broken.unlink()
    assert folder.learnt(recordings=6)["described"] == 6


def test_killed_processes_cost_what_they_were_at_and_no_file_twice(start_app, moving, tmp_path):
    videos, events = moving
    few = shutil.ignore_patterns("g[345].avi")
    path = shutil.copytree(videos, tmp_path / "work" / "lab", ignore=few)
    own = Folder(start_app(path.parent), path, events)
    app = own.app
    app.read_through("lab/g0.avi")
    own.save("g0.avi")
    own.learnt(events=2)
    for worker in (workers := workers_of(app.process.pid)):
        os.kill(worker, signal.SIGKILL)
    assert workers
    shown = [app.ask("/api/video/frames", video="lab/g0.avi", first=59)[0] for _ in range(2)]
    assert shown[1] == 200
    assert app.read_through("lab/g1.avi")["is_complete"]
    own.save("g1.avi")
    assert own.learnt(events=4)["error"] == ""
    kept = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(kept) == 3 + 2  # The descriptors of all, and where frames are of those two.
    before = [each.stat().st_mtime_ns for each in kept]
    app.process.kill()
    app.process.communicate()
    again = Folder(start_app(app.root), path, {})
    assert again.app.get("/api/video", video="lab/g0.avi")["is_complete"]
    assert len(again.app.get("/api/video", video="lab/g0.avi", **{"from": 50})["seconds"]) == 10
    again.learnt()
    assert [each.stat().st_mtime_ns for each in kept] == before


def test_folders_are_scored_one_after_another(folder, app, moving):
    """What is learnt of one while the curve of another is found gets its own."""
    videos, events = moving
    other = Folder(app, shutil.copytree(videos, folder.path.with_name("other")), events)
    for each in (folder, other):
        each.learnt(events=0)
        each.save("g0.avi", "g1.avi")
    for each in (folder, other):
        wait_until(lambda each=each: is_learnt(each.get("/api/label/learnt")))
