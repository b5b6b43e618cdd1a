"""Files without a frame: each with a reason that helps, and nothing printed."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import probe, write_video
from pipeline.video.quiet import quiet
from tests.video.videos import cut, noise


@pytest.fixture
def whole(tmp_path):
    """Writes a video of noise."""

    def whole(name="clip.mp4"):
        write_video(tmp_path / name, noise(10), fps=25)
        return tmp_path / name

    return whole


def reason(path):
    with pytest.raises(VideoDecodeError) as caught:
        probe(path)
    assert caught.value.path == str(path)
    return caught.value.reason


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.avi")
    assert reason(tmp_path / "no.mp4") == "it cannot be opened: No such file or directory."
    for path in (tmp_path, tmp_path / "a.avi"):
        assert reason(path) == "it is a folder, a pipe or a device, not a file."
    assert "not valid UTF-8" in reason("na\udcefve.avi"), "OpenCV would crash"


def box(kind, content=b""):
    return (8 + len(content)).to_bytes(4) + kind + content


LARGE = b"\0\0\0\1mdat" + (24).to_bytes(8) + bytes(8)  # a 64-bit size
OPEN = b"\0\0\0\0mdat"  # up to the end of the file
SMALL = b"\0\0\0\1mdat" + bytes(8)  # a size that is too small
START = box(b"ftyp", b"isom\0\0\2\0")


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
        (START + box(b"moov"), "no video that OpenCV can decode"),
        (START + LARGE + box(b"moov"), "no video that OpenCV can decode"),
        (START + OPEN + box(b"moov"), "cut off: its index"),
        (START + SMALL, "cut off: its index"),
    ],
)
def test_content_that_is_no_video(tmp_path, content, expected):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert expected in reason(path)


def test_mp4_without_its_end_its_video_or_its_frames(whole):
    path = whole()
    data = path.read_bytes()
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    for content, expected in (
        (data[: len(data) // 2], "cut off: its index (the moov box"),
        (data[:-400], "cut off: its index (the moov box"),  # in the middle of the box
        (data.replace(b"vide", b"soun"), "no video that OpenCV can decode"),
        (data[:start] + bytes(end - start) + data[end:], "no frame of its FMP4 video decodes"),
    ):
        path.write_bytes(content)
        assert expected in reason(path)


def test_opencv_keeps_the_log_level_of_the_user(tmp_path):
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(reason, [tmp_path / "no.mp4"] * 200))
        assert logging.getLogLevel() == logging.LOG_LEVEL_ERROR
    finally:
        logging.setLogLevel(before)


def test_nobody_waits_for_another_to_open_a_video(whole):
    path, logging = whole(), cv2.utils.logging
    before = logging.getLogLevel()
    within, leave = threading.Event(), threading.Event()

    def stay():
        with quiet():
            within.set()
            leave.wait()

    slow = threading.Thread(target=stay)
    slow.start()
    within.wait()
    quick = threading.Thread(target=lambda: probe(path))
    quick.start()
    quick.join(timeout=30)
    waits, level = quick.is_alive(), logging.getLogLevel()
    leave.set()
    slow.join()
    quick.join()
    assert not waits
    assert level == logging.LOG_LEVEL_SILENT, "until the last one leaves"
    assert logging.getLogLevel() == before


def test_many_are_opened_at_once(whole):
    paths = [whole(name) for name in ("a.mp4", "b.avi", "c.mkv", "d.webm")] * 16
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


def test_nothing_is_printed_unless_the_user_wants_it(whole, monkeypatch):
    def printed(*paths, **environment):
        for name in ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-c", SCRIPT, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    damaged, cut_off = (cut(whole(name), 6_000) for name in ("damaged.mkv", "cut.mp4"))
    assert printed(damaged, cut_off) == ""
    assert "moov" in printed(cut_off, OPENCV_FFMPEG_LOGLEVEL="16")
    assert "can't be used to capture" in printed(cut_off, OPENCV_LOG_LEVEL="WARNING")
