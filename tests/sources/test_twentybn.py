from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.sources.twentybn import scan_jester, scan_something_something
from pipeline.video import encode_jpeg, iter_frames

JESTER = ("20bn-jester-v1/1.mp4", "20bn-jester-v1/20.webm", "20bn-jester-v1/3.avi")


@pytest.fixture
def jester_lists(write):
    write("jester-v1-labels.csv", "Doing other things", "Drumming Fingers")
    write("jester-v1-train.csv", "1; Drumming Fingers", "20 ;Doing other things")
    return write("jester-v1-validation.csv", "3;Drumming Fingers")


def test_official_splits_of_jester(touch, jester_lists, table):
    assert table(scan_jester(touch(*JESTER) / "20bn-jester-v1")) == [
        (JESTER[0], "Drumming Fingers", "1", "train"),
        (JESTER[1], "Doing other things", "20", "train"),
        (JESTER[2], "Drumming Fingers", "3", "test"),
    ]


def test_labels_of_jester_that_are_missing(touch, write, jester_lists, tmp_path):
    (tmp_path / "jester-v1-labels.csv").unlink()

    assert len(scan_jester(touch(*JESTER)).rows) == 3
    write("jester-v1-train.csv", "1;")
    with pytest.raises(DataError, match="train.csv, line 1: expected a video and a label"):
        scan_jester(tmp_path)


@pytest.mark.parametrize("line", ["5;Waving", "5,Drumming Fingers", ";Drumming Fingers", "5;"])
def test_line_that_is_not_as_expected(touch, write, jester_lists, line):
    file = write("jester-v1-validation.csv", line)

    message = f"{file}, line 1: expected a video and a label that jester-v1-labels.csv lists, "
    with pytest.raises(DataError, match=re.escape(message)):
        scan_jester(touch(*JESTER))


@pytest.mark.parametrize("given", ["20bn-jester-v1", "."])
def test_folders_of_frames(touch, jester_lists, tmp_path, monkeypatch, given):
    touch(*(f"20bn-jester-v1/{name}/00001.jpg" for name in (1, 20, 3)))
    monkeypatch.chdir(tmp_path)

    message = (
        r"20bn-jester-v1: expected one video a gesture, such as 34870.avi, got folders of JPEG "
        r"frames. Make videos of them, without loss: mkdir videos; for f in 20bn-jester-v1/\*/; do "
    )
    with pytest.raises(DataError, match=message):
        scan_jester(given)


def test_videos_beside_folders_of_frames(touch, jester_lists):
    root = touch("20bn-jester-v1/1/00001.jpg", "videos/1.avi")

    assert scan_jester(root).rows[2].path == str(root / "videos/1.avi")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no ffmpeg")
def test_what_the_error_says_turns_frames_into_videos(touch, jester_lists, tmp_path, monkeypatch):
    root = touch(*(f"20bn-jester-v1/{name}/00001.jpg" for name in (1, 20, 3)))
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(3, 100, 132, 3), dtype=np.uint8)
    for folder in (root / "20bn-jester-v1").iterdir():
        for number, frame in enumerate(frames, 1):
            (folder / f"{number:05d}.jpg").write_bytes(encode_jpeg(frame, quality=95))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        scan_jester("20bn-jester-v1")

    command = str(error.value).partition("without loss: ")[2].replace("ffmpeg", "ffmpeg -v error")
    subprocess.run(["bash", "-ec", command], check=True, stdin=subprocess.DEVNULL)

    rows = scan_jester("videos").rows
    assert [row.path for row in rows] == [str(root / f"videos/{n}.avi") for n in (1, 20, 3)]
    assert len(list(iter_frames(rows[0].path))) == 3
    jpeg = (root / "20bn-jester-v1/1/00001.jpg").read_bytes()
    assert jpeg in Path(rows[0].path).read_bytes()


SOMETHING = tuple(f"20bn-something-something-v2/{number}.webm" for number in (2, 10, 3, 4))
ENTRIES = (
    {
        "id": "2",
        "label": "holding potato next to vicks vaporub bottle",
        "template": "Holding [something] next to [something]",
        "placeholders": ["potato", "vicks vaporub bottle"],
    },
    {"id": "10", "template": "Poking a hole into [some substance]", "placeholders": ["butter"]},
    {"id": "3", "template": "Holding [something] next to [something]", "placeholders": []},
)
LABELS = {"Holding something next to something": "0", "Poking a hole into some substance": "1"}


@pytest.fixture
def something_lists(write):
    return write_lists(write, "labels/")


def write_lists(write, prefix):
    write(f"{prefix}train.json", *json.dumps(ENTRIES[:2], indent=1).split("\n"))
    write(f"{prefix}validation.json", json.dumps(ENTRIES[2:]))
    write(f"{prefix}labels.json", json.dumps(LABELS))
    return prefix


@pytest.mark.parametrize(
    "prefix", ["labels/something-something-v2-", "labels/", "annotations/", ""]
)
def test_official_splits_of_something_something(touch, write, table, prefix):
    write_lists(write, prefix)
    holding, poking = LABELS

    assert table(
        scan_something_something(touch(*SOMETHING[:3]) / "20bn-something-something-v2")
    ) == [
        (SOMETHING[1], poking, "10", "train"),
        (SOMETHING[0], holding, "2", "train"),
        (SOMETHING[2], holding, "3", "test"),
    ]


def test_labels_of_something_something_that_are_missing(touch, write, something_lists, tmp_path):
    (tmp_path / f"{something_lists}labels.json").unlink()

    assert len(scan_something_something(touch(*SOMETHING[:3])).class_names) == 2
    write(f"{something_lists}train.json", '[{"id": "2", "template": ""}]')
    with pytest.raises(DataError, match="train.json, entry 1: expected an id and a template"):
        scan_something_something(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "5", "template": "Holding [nothing]"},
        {"id": "5"},
        {"template": "Holding [something] next to [something]"},
        ["5"],
    ],
)
def test_entry_that_is_not_as_expected(touch, write, something_lists, entry):
    file = write(f"{something_lists}validation.json", json.dumps([*ENTRIES, entry]))

    message = f"{file}, entry 4: expected an id and a template that "
    with pytest.raises(DataError, match=f"{re.escape(message)}.*labels.json lists, got"):
        scan_something_something(touch(*SOMETHING))


def test_file_that_is_not_json(touch, write, something_lists):
    file = write(f"{something_lists}train.json", "[", "  }")

    with pytest.raises(DataError, match=f"{re.escape(str(file))}, line 2: expected JSON: "):
        scan_something_something(touch(*SOMETHING))


def test_json_of_another_kind(touch, write, something_lists):
    file = write(f"{something_lists}train.json", "{}")

    with pytest.raises(DataError, match=f"{re.escape(str(file))}: expected a JSON list, got dict"):
        scan_something_something(touch(*SOMETHING))
