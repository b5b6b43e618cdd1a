"""Files without a frame: each with a reason that helps, and nothing printed."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import probe, write_video
from pipeline.video.quiet import quiet


def whole(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(256, size=(10, 48, 64, 3), dtype=np.uint8)
    write_video(path, noise, fps=25)
    return path


def reason(path: Path | str) -> str:
    with pytest.raises(VideoDecodeError) as caught:
        probe(path)
    assert caught.value.path == str(path)
    return caught.value.reason


def test_missing_file(tmp_path):
    assert reason(tmp_path / "no.mp4") == "it cannot be opened: No such file or directory."


def test_folder(tmp_path):
    assert reason(tmp_path) == "it is a folder, a pipe or a device, not a file."


def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.avi")
    assert reason(tmp_path / "a.avi") == "it is a folder, a pipe or a device, not a file."


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty (0 bytes)"),
        (
            b"<!DOCTYPE html>\n<html>",
            r"it is text, not a video; it starts with '<!DOCTYPE html>\n<ht",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:3", "git lfs pull"),
        (b"ID3\x03\x00\x00\x00\x00\x00\x00" + bytes(500), "no video that OpenCV can decode"),
        (bytes(range(256)) * 20, "no video that OpenCV can decode"),
    ],
)
def test_content_that_is_no_video(tmp_path, content, expected):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert expected in reason(path)


def test_mp4_without_its_end(tmp_path):
    path = whole(tmp_path / "clip.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cut off: its index (the moov box" in reason(path)
    path.write_bytes(data[:-400])  # in the middle of the box
    assert "cut off: its index (the moov box" in reason(path)


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


@pytest.mark.parametrize(
    ("rest", "has_index"),
    [
        (box(b"moov"), True),
        (b"\0\0\0\1mdat" + (24).to_bytes(8) + bytes(8) + box(b"moov"), True),  # a 64-bit size
        (b"\0\0\0\0mdat" + box(b"moov"), False),  # up to the end of the file
        (b"\0\0\0\1mdat" + bytes(8), False),  # a size that is too small
    ],
)
def test_index_among_boxes(tmp_path, rest, has_index):
    path = tmp_path / "clip.mp4"
    path.write_bytes(box(b"ftyp", b"isom\0\0\2\0") + rest)
    assert ("its index" not in reason(path)) is has_index


def test_mp4_whose_index_is_there_is_not_said_to_be_cut_off(tmp_path):
    path = whole(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes().replace(b"vide", b"soun"))
    assert "no video that OpenCV can decode" in reason(path)


def test_video_of_which_nothing_decodes(tmp_path):
    path = whole(tmp_path / "clip.mp4")
    data = path.read_bytes()
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:start] + bytes(end - start) + data[end:])
    assert "no frame of its FMP4 video decodes" in reason(path)


def test_a_name_that_would_crash_opencv():
    assert "not valid UTF-8" in reason("na\udcefve.avi")


def test_opencv_keeps_the_log_level_of_the_user(tmp_path):
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(reason, [tmp_path / "no.mp4"] * 200))
        assert logging.getLogLevel() == logging.LOG_LEVEL_ERROR
    finally:
        logging.setLogLevel(before)


def test_nobody_waits_for_another_to_open_a_video(tmp_path):
    path = whole(tmp_path / "clip.mp4")
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    within, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with quiet():
            within.set()
            leave.wait()

    slow = threading.Thread(target=stay)
    slow.start()
    within.wait()
    quick = threading.Thread(target=lambda: probe(path))
    quick.start()
    quick.join(timeout=30)
    waits = quick.is_alive()
    level = logging.getLogLevel()
    leave.set()
    slow.join()
    quick.join()
    assert not waits
    assert level == logging.LOG_LEVEL_SILENT, "until the last one leaves"
    assert logging.getLogLevel() == before


def test_many_are_opened_at_once(tmp_path):
    paths = [whole(tmp_path / name) for name in ("a.mp4", "b.avi", "c.mkv", "d.webm")] * 16
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda path: probe(path, count_frames=True).num_frames, paths))
    assert found == [10] * 64


SCRIPT = """
import sys, warnings
from pipeline.errors import VideoDecodeError
from pipeline.video import probe
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    try:
        probe(path, count_frames=True)
    except VideoDecodeError:
        pass
"""


def printed(monkeypatch, *paths: Path, **environment: str) -> str:
    for name in ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-c", SCRIPT, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_nothing_is_printed_unless_the_user_wants_it(tmp_path, monkeypatch):
    damaged = whole(tmp_path / "damaged.mkv")
    damaged.write_bytes(damaged.read_bytes()[:6_000])
    cut_off = whole(tmp_path / "cut.mp4")
    cut_off.write_bytes(cut_off.read_bytes()[:6_000])
    assert printed(monkeypatch, damaged, cut_off) == ""
    assert "moov" in printed(monkeypatch, cut_off, OPENCV_FFMPEG_LOGLEVEL="16")
    assert "can't be used to capture" in printed(monkeypatch, cut_off, OPENCV_LOG_LEVEL="WARNING")
