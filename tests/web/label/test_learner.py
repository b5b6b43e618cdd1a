"""What is learnt of labels in the background, asked by a program."""

import csv
import os
import shutil
import signal
import time

import numpy as np
import pytest

from pipeline.video import write_video
from tests.conftest import blob_recording
from tests.processes import workers_of

NONE = {"is_listed": False, "events": [], "watched": []}


@pytest.fixture
def truth(tmp_path):
    """Six recordings of things that move to the left or right, and their events by file."""
    folder = tmp_path / "work" / "lab"
    folder.mkdir(parents=True)
    found = {}
    for number in range(6):
        frames, events = blob_recording(np.random.default_rng(number))
        write_video(folder / f"g{number}.avi", frames, fps=10, codec="FFV1")
        found[f"g{number}.avi"] = [
            {"start": start, "end": end, "label": label, "subject": "", "notes": ""}
            for start, end, label in events
        ]
    return found


@pytest.fixture
def app(start_app, tmp_path, truth):
    return start_app(tmp_path / "work")


def learnt(app, **wanted):
    """What is learnt, once it is all that can be."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = app.get("/api/label/learnt", folder="lab")
        busy = found["is_learning"] or found["is_scoring"]
        done = found["described"] == found["recordings"] and not busy
        if done and all(found[name] == value for name, value in wanted.items()):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def save(app, video, **changes):
    before = next(
        each
        for each in app.get("/api/label/folder", folder="lab")["videos"]
        if each["name"] == video
    )
    content = {**NONE, **changes, "version": before["version"]}
    status, answer = app.put("/api/label/events", content, video=f"lab/{video}")
    assert status == 200, answer


def proposals(app, video):
    return app.get("/api/label/proposals", video=f"lab/{video}", run="")["proposals"]


def test_labels_teach_and_more_labels_teach_anew(app, truth):
    found = learnt(app, events=0)
    assert {each["recording"] for each in found["stretches"]} == set(truth)
    assert found["curve"] == []
    assert proposals(app, "g5.avi") == []
    for video in ("g0.avi", "g1.avi"):
        save(app, video, events=truth[video])
    found = learnt(app, events=4)
    assert {each["recording"] for each in found["stretches"]} == set(truth) - {"g0.avi", "g1.avi"}
    assert len(found["curve"]) == 4
    first = proposals(app, "g5.avi")
    assert {each["label"] for each in first} <= {"left", "right"}
    for video in ("g2.avi", "g3.avi", "g4.avi"):
        save(app, video, events=truth[video])
    again = learnt(app, events=10)
    assert again["lesson"] > found["lesson"]
    found = proposals(app, "g5.avi")
    for event in truth["g5.avi"]:
        near = [each for each in found if each["label"] == event["label"]]
        assert any(abs(each["start"] - event["start"]) < 0.7 for each in near), found


def test_a_rejected_stretch_is_a_counterexample(app, truth):
    """What was watched in part and not marked is known not to happen there."""
    save(app, "g0.avi", events=truth["g0.avi"])
    save(app, "g1.avi", watched=[[0.0, 6.0]])
    found = learnt(app, events=2)
    assert "g1.avi" not in {each["recording"] for each in found["stretches"]}
    assert found["labelled"] == 1


def test_more_like_this(app, truth):
    save(app, "g0.avi", events=truth["g0.avi"])
    learnt(app, events=2)
    event = truth["g0.avi"][0]
    asked = {"video": "lab/g0.avi", "start": event["start"], "end": event["end"]}
    found = app.get("/api/label/similar", **asked)["stretches"]
    assert found
    assert "g0.avi" not in {each["recording"] for each in found}  # It was watched.
    assert all(each["end"] - each["start"] == pytest.approx(2.0) for each in found)
    for wrong in ({"start": "x"}, {"start": -1}, {"start": "nan"}, {"start": "1e99"}):
        assert app.ask("/api/label/similar", **{**asked, **wrong})[0] == 400
    assert app.ask("/api/label/similar", **{**asked, "video": "../x.avi"})[0] == 404


def test_a_file_that_cannot_be_read_is_named_and_hinders_nothing(app, truth):
    (app.root / "lab" / "broken.mp4").write_bytes(b"x" * 1000)
    save(app, "g0.avi", events=truth["g0.avi"])
    found = learnt(app, events=2)
    assert list(found["failed"]) == ["broken.mp4"]
    assert found["stretches"]


def test_a_file_that_is_replaced_is_read_anew(app, truth):
    broken = app.root / "lab" / "broken.avi"
    broken.write_bytes(b"x" * 1000)
    assert list(learnt(app)["failed"]) == ["broken.avi"]
    shutil.copy(app.root / "lab" / "g0.avi", broken)
    found = learnt(app, failed={})
    assert found["described"] == found["recordings"] == 7
    assert "broken.avi" in {each["recording"] for each in found["stretches"]}
    broken.unlink()
    assert learnt(app, recordings=6)["described"] == 6


def test_where_all_was_watched_there_is_nothing_alike(app, truth):
    for video in truth:
        save(app, video, events=truth[video])
    assert learnt(app, labelled=6)["stretches"] == []
    asked = {"video": "lab/g0.avi", "start": 0.0, "end": 2.0}
    assert app.get("/api/label/similar", **asked) == {"stretches": []}


def test_a_worker_that_is_killed_costs_nothing_for_good(app, truth):
    save(app, "g0.avi", events=truth["g0.avi"])
    learnt(app, events=2)
    for worker in workers_of(app.process.pid):
        os.kill(worker, signal.SIGKILL)
    save(app, "g1.avi", events=truth["g1.avi"])
    assert learnt(app, events=4)["error"] == ""


def test_recordings_are_described_once(start_app, app, truth):
    learnt(app)
    kept = sorted((app.root.parent / "cache").rglob("descriptors*/*.npy"))
    assert len(kept) == len(truth)
    before = [each.stat().st_mtime_ns for each in kept]
    app.process.terminate()
    app.process.communicate()
    learnt(start_app(app.root))
    assert [each.stat().st_mtime_ns for each in kept] == before


def test_what_is_learnt_changes_no_table(app, truth):
    save(app, "g0.avi", events=truth["g0.avi"], watched=[[0.0, 5.0]])
    table = app.root / "lab" / "events.csv"
    before = table.read_bytes()
    learnt(app, events=2)
    assert table.read_bytes() == before
    rows = list(csv.DictReader(before.decode().splitlines()))
    assert rows[-1]["label"] == "*"
