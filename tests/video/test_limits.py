"""Videos that are too long or too large, or that are not what their containers say."""

import dataclasses
import os
import struct
import subprocess
import sys

import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import Limits, VideoInfo, VideoReader
from tests.video.videos import lossless, noise


@pytest.fixture
def make(tmp_path):
    """Writes a video of so many frames."""
    return lambda number: lossless(tmp_path / "a.avi", noise(number, 12, 16))


def read(path, **limits):
    with VideoReader(path, Limits(**limits)) as reader:
        return sum(1 for _ in reader.frames(fps=10))


def test_what_is_declared_is_refused_before_frames_are_read(make):
    path = make(61)
    with pytest.raises(VideoDecodeError, match=r"it lasts 0:06\.1 or longer, and 0:06\.0 are allo"):
        VideoReader(path, Limits(seconds=6))
    with pytest.raises(VideoDecodeError, match="its frames have 16 x 12 pixels, and 191 in all"):
        VideoReader(path, Limits(pixels=191))
    assert read(path, seconds=6.1, pixels=192) == 61


def test_frames_that_fill_the_memory_are_refused_before_one_is_decoded(make):
    path = make(3)
    huge = struct.pack("<II", 8192, 8193)
    path.write_bytes(path.read_bytes().replace(struct.pack("<II", 16, 12), huge))
    with pytest.raises(VideoDecodeError, match="have 8192 x 8193 pixels, and 67,108,864 in all"):
        VideoReader(path)


def test_a_video_that_turns_out_longer_than_it_declares(make):
    path = make(61)
    data = path.read_bytes()
    declared = data[:600].replace(struct.pack("<I", 61), struct.pack("<I", 10))
    path.write_bytes(declared + data[600:])
    with VideoReader(path, Limits(seconds=3)) as reader:
        assert reader.info.duration_seconds == 1
        with pytest.raises(VideoDecodeError, match=r"it lasts 0:03\.1 or longer"):
            list(reader.frames(fps=1))
    assert read(path, seconds=7) == 61


CODE = """
from pipeline.errors import VideoDecodeError
from pipeline.video import probe, whole_files_only
for _ in range(2):
    for name in ("a.avi", "list.avi"):
        try:
            print(probe(name).codec)
        except VideoDecodeError as error:
            print(error.reason[:28])
    whole_files_only()
"""


def test_lists_of_other_files_are_no_videos_where_that_is_asked_for(make):
    """In a process of its own: that is for good."""
    folder = make(5).parent
    (folder / "list.avi").write_text("ffconcat version 1.0\nfile a.avi\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    options = {"cwd": folder, "env": environment, "text": True, "check": True}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, **options)
    assert done.stdout.split("\n")[:4] == ["ffv1", "ffv1", "ffv1", "it is text, not a video; it "]


def info(declared, num_frames, seconds=None, fps=25.0):
    return VideoInfo(
        path="a.mp4",
        width=64,
        height=48,
        fps=fps,
        declared_frames=declared,
        num_frames=num_frames,
        duration_seconds=(num_frames or 0) / fps if seconds is None else seconds,
        codec="h264",
    )


@pytest.mark.parametrize(
    ("found", "cut_off"),
    [
        *((info(311, 310), False), (info(174, 172), False)),
        *((info(60, 52), False), (info(60, 50), False), (info(60, 49), True)),  # 8 or more
        *((info(141, 73), True), (info(300, 120), True)),
        *((info(1000, 901), False), (info(1000, 899), True)),
        *((info(12, 7), False), (info(12, 6), False), (info(12, 5), True)),
        *((info(2, 1), False), (info(3, 1), True)),
        (info(60, 61), False),  # more than declared
        *((info(None, 60), False), (info(60, None), False)),  # not known, not counted yet
        # A number computed from a duration is compared with time: half of the frames of a nominal
        # 30 a second are there, but they cover the whole duration.
        (info(300, 150, seconds=10.0, fps=30.0), False),
        (info(300, 150, seconds=5.0, fps=30.0), True),
    ],
)
def test_is_cut_off(found, cut_off):
    assert found.is_cut_off is cut_off


def test_missing_frames():
    assert info(60, 52).missing_frames == 8
    assert info(60, 61).missing_frames == 0
    # The clock of a container may begin before the first frame.
    found = info(174, 172, fps=30.0)
    assert found.missing_frames == 2
    assert dataclasses.replace(found, start_seconds=0.1).missing_frames == 0
