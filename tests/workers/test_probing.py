"""What is known of many video files."""

import os
from pathlib import Path

import numpy as np

from pipeline.errors import VideoDecodeError
from pipeline.video import VideoInfo, write_video
from pipeline.workers.probing import probe_each


def test_files_that_cannot_be_read_or_hang_cost_only_themselves(tmp_path: Path) -> None:
    good, broken, hangs = (str(tmp_path / name) for name in ("good.avi", "broken.avi", "hang.avi"))
    write_video(good, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=7, codec="FFV1")
    Path(broken).write_text("no video")
    os.mkfifo(tmp_path / "pipe")  # into which nobody writes
    Path(hangs).write_text("ffconcat version 1.0\nfile pipe\n")

    found = probe_each([good, hangs, broken, good], workers=1, seconds_per_video=1)

    assert list(found) == [good, hangs, broken]
    info, *errors = found.values()
    assert isinstance(info, VideoInfo)
    assert info.fps == 7
    assert all(isinstance(error, VideoDecodeError) for error in errors)
    assert "it took longer than 1 second" in str(found[hangs])
