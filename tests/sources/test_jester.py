from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.sources.twentybn import scan_jester
from pipeline.video import encode_jpeg, iter_frames

VIDEOS = ("20bn-jester-v1/1.mp4", "20bn-jester-v1/20.webm", "20bn-jester-v1/3.avi")


@pytest.fixture
def lists(write):
    write("jester-v1-labels.csv", "Doing other things", "Drumming Fingers")
    write("jester-v1-train.csv", "1; Drumming Fingers", "20 ;Doing other things")
    return write("jester-v1-validation.csv", "3;Drumming Fingers")


def test_official_splits(touch, lists, table):
    assert table(scan_jester(touch(*VIDEOS) / "20bn-jester-v1")) == [
        (VIDEOS[0], "Drumming Fingers", "1", "train"),
        (VIDEOS[1], "Doing other things", "20", "train"),
        (VIDEOS[2], "Drumming Fingers", "3", "test"),
    ]


def test_labels_that_are_missing(touch, write, lists, tmp_path):
    (tmp_path / "jester-v1-labels.csv").unlink()

    assert len(scan_jester(touch(*VIDEOS)).rows) == 3
    write("jester-v1-train.csv", "1;")
    with pytest.raises(DataError, match="train.csv, line 1: expected a video and a label"):
        scan_jester(tmp_path)


@pytest.mark.parametrize("line", ["5;Waving", "5,Drumming Fingers", ";Drumming Fingers", "5;"])
def test_line_that_is_not_as_expected(touch, write, lists, line):
    file = write("jester-v1-validation.csv", line)

    message = f"{file}, line 1: expected a video and a label that jester-v1-labels.csv lists, "
    with pytest.raises(DataError, match=re.escape(message)):
        scan_jester(touch(*VIDEOS))


@pytest.mark.parametrize("given", ["20bn-jester-v1", "."])
def test_folders_of_frames(touch, lists, tmp_path, monkeypatch, given):
    touch(*(f"20bn-jester-v1/{name}/00001.jpg" for name in (1, 20, 3)))
    monkeypatch.chdir(tmp_path)

    message = (
        r"20bn-jester-v1: expected one video a gesture, such as 34870.avi, got folders of JPEG "
        r"frames. Make videos of them, without loss: mkdir videos; for f in 20bn-jester-v1/\*/; do "
    )
    with pytest.raises(DataError, match=message):
        scan_jester(given)


def test_videos_beside_folders_of_frames(touch, lists):
    root = touch("20bn-jester-v1/1/00001.jpg", "videos/1.avi")

    assert scan_jester(root).rows[2].path == str(root / "videos/1.avi")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no ffmpeg")
def test_what_the_error_says_turns_frames_into_videos(touch, lists, tmp_path, monkeypatch):
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
