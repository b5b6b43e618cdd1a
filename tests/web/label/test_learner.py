"""What is learnt of labels in the background, asked by a program."""

import os
import shutil
import signal
import time
from functools import partial

import pytest

from tests.processes import workers_of


class Folder:
    """A folder of an app, and what was marked in its recordings."""

    def __init__(self, app, path, events):
        self.app, self.path = app, path
        self.get = partial(app.get, folder=path.name)
        self.truth = {
            name: [
                {"start": start, "end": end, "label": label, "subject": "", "notes": ""}
                for start, end, label in marked
            ]
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
    return found["described"] == found["recordings"] and not (
        found["is_learning"] or found["is_scoring"]
    )


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


def test_processes_that_are_killed_cost_what_they_were_at_and_nothing_is_read_twice(
    start_app, moving, tmp_path
):
    videos, events = moving
    few = shutil.ignore_patterns("g[345].avi")
    path = shutil.copytree(videos, tmp_path / "work" / "lab", ignore=few)
    own = Folder(start_app(path.parent), path, events)
    app = own.app
    app.read_through("lab/g0.avi")
    own.save("g0.avi")
    own.learnt(events=2)
    for worker in workers_of(app.process.pid):
        os.kill(worker, signal.SIGKILL)
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
    left = [folder, other]
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        left = [each for each in left if not is_learnt(each.get("/api/label/learnt"))]
        time.sleep(0.02)
    assert left == []
