"""Videos that are too long or too large, or that are not what their containers say."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import Limits, VideoReader, write_video


def frames(number):
    return np.random.default_rng(0).integers(256, size=(number, 12, 16, 3), dtype=np.uint8)


def read(path, **limits):
    with VideoReader(path, Limits(**limits)) as reader:
        return sum(1 for _ in reader.frames(fps=10))


def test_what_is_declared_is_refused_before_frames_are_read(tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames(61), fps=10, codec="FFV1")
    with pytest.raises(
        VideoDecodeError, match=r"it lasts 0:06\.1 or longer, and 0:06\.0 are allow"
    ):
        VideoReader(path, Limits(seconds=6))
    with pytest.raises(VideoDecodeError, match="its frames have 16 x 12 pixels, and 191 in all"):
        VideoReader(path, Limits(pixels=191))
    assert read(path, seconds=6.1, pixels=192) == 61


def test_frames_that_fill_the_memory_are_refused_before_one_is_decoded(tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames(3), fps=10, codec="FFV1")
    huge = struct.pack("<II", 8192, 8193)
    path.write_bytes(path.read_bytes().replace(struct.pack("<II", 16, 12), huge))
    with pytest.raises(VideoDecodeError, match="have 8192 x 8193 pixels, and 67,108,864 in all"):
        VideoReader(path)


def test_a_video_that_turns_out_longer_than_it_declares(tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, frames(61), fps=10, codec="FFV1")
    data = path.read_bytes()
    declared = data[:600].replace(struct.pack("<I", 61), struct.pack("<I", 10))
    path.write_bytes(declared + data[600:])
    with VideoReader(path, Limits(seconds=3)) as reader:
        assert reader.info.duration_seconds == 1
        with pytest.raises(VideoDecodeError, match=r"it lasts 0:03\.1 or longer"):
            list(reader.frames(fps=1))
    assert read(path, seconds=7) == 61


def test_lists_of_other_files_are_no_videos_where_that_is_asked_for(tmp_path):
    """In a process of its own: that is for good."""
    write_video(tmp_path / "a.avi", frames(5), fps=10, codec="FFV1")
    (tmp_path / "list.avi").write_text("ffconcat version 1.0\nfile a.avi\n")
    code = """
import sys
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
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:4] == ["ffv1", "ffv1", "ffv1", "it is text, not a video; it "]
