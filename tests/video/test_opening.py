"""Files that are written, and those without a frame, too long or not what they say."""

import dataclasses
import os
import signal
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import VideoDecodeError
from pipeline.video import Limits, VideoReader, VideoWriteError, iter_frames, probe, write_video
from pipeline.video.opening import quiet
from tests.video.videos import cut, known, lossless, noise


def noisy(path):
    """Writes a video of noise, and returns the file."""
    write_video(path, noise(10), fps=25)
    return path


def reason(path):
    with pytest.raises(VideoDecodeError) as caught:
        probe(path)
    assert caught.value.path == str(path)
    return caught.value.reason


def box(kind, content=b""):
    return (8 + len(content)).to_bytes(4) + kind + content


LARGE = b"\0\0\0\1mdat" + (24).to_bytes(8) + bytes(8)  # a 64-bit size
OPEN = b"\0\0\0\0mdat"  # up to the end of the file
SMALL = b"\0\0\0\1mdat" + bytes(8)  # a size that is too small
START = box(b"ftyp", b"isom\0\0\2\0")


CONTENT = {
    b"": "empty (0 bytes)",
    b"<!DOCTYPE html>\n<html>": r"text, not a video; it starts with '<!DOCTYPE html>\n<ht",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:3": "git lfs pull",
    b"ID3\x03\x00\x00\x00\x00\x00\x00" + bytes(500): "no video that OpenCV can decode",
    bytes(range(256)) * 20: "no video that OpenCV can decode",
    START + box(b"moov"): "no video that OpenCV can decode",
    START + LARGE + box(b"moov"): "no video that OpenCV can decode",
    START + OPEN + box(b"moov"): "cut off: its index",
    START + SMALL: "cut off: its index",
}


def test_what_is_no_file_is_not_waited_for_or_has_no_video(tmp_path):
    os.mkfifo(tmp_path / "a.avi")
    assert reason(tmp_path / "no.mp4") == "it cannot be opened: No such file or directory."
    for path in (tmp_path, tmp_path / "a.avi"):
        assert reason(path) == "it is a folder, a pipe or a device, not a file."
    assert "not valid UTF-8" in reason("na\udcefve.avi"), "OpenCV would crash"
    for content, expected in CONTENT.items():
        (tmp_path / "clip.mp4").write_bytes(content)
        assert expected in reason(tmp_path / "clip.mp4")


def test_mp4_without_its_end_its_video_or_its_frames(tmp_path):
    path = noisy(tmp_path / "clip.mp4")
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


def test_many_are_opened_at_once_and_opencv_keeps_its_log_level(tmp_path):
    """Nobody waits for another to open a video."""
    paths = [noisy(tmp_path / f"a.{suffix}") for suffix in ("mp4", "avi", "mkv", "webm")]
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda path: probe(path, count_frames=True), paths * 16))
            list(pool.map(reason, [tmp_path / "no.mp4"] * 200))
        assert logging.getLogLevel() == logging.LOG_LEVEL_ERROR
    finally:
        logging.setLogLevel(before)
    assert [info.num_frames for info in found] == [10] * 64
    before = logging.getLogLevel()
    within, leave = threading.Event(), threading.Event()

    def stay():
        with quiet():
            within.set()
            leave.wait()

    slow = threading.Thread(target=stay)
    slow.start()
    within.wait()
    quick = threading.Thread(target=lambda: probe(paths[0]))
    quick.start()
    quick.join(timeout=30)
    waits, level = quick.is_alive(), logging.getLogLevel()
    leave.set()
    slow.join()
    quick.join()
    assert not waits
    assert level == logging.LOG_LEVEL_SILENT, "until the last one leaves"
    assert logging.getLogLevel() == before


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


def printed(script, *paths, **environment):
    names = ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    command, env = [sys.executable, "-c", script, *map(str, paths)], {**kept, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return done.stdout + done.stderr


def test_nothing_is_printed_unless_the_user_wants_it(tmp_path):
    names = ("damaged.mkv", "cut.mp4")
    damaged, cut_off = (cut(noisy(tmp_path / name), 6_000) for name in names)
    assert printed(SCRIPT, damaged, cut_off) == ""
    assert "moov" in printed(SCRIPT, cut_off, OPENCV_FFMPEG_LOGLEVEL="16")
    assert "can't be used to capture" in printed(SCRIPT, cut_off, OPENCV_LOG_LEVEL="WARNING")


def read(path, **limits):
    with VideoReader(path, Limits(**limits)) as reader:
        return sum(1 for _ in reader.frames(fps=10))


def test_limits_hold_for_what_is_declared_and_for_what_it_turns_out_to_be(tmp_path):
    path = lossless(tmp_path / "a.avi", noise(61, 12, 16))
    data = path.read_bytes()
    with pytest.raises(VideoDecodeError, match=r"it lasts 0:06\.1 or longer, and 0:06\.0 are allo"):
        VideoReader(path, Limits(seconds=6))
    with pytest.raises(VideoDecodeError, match="12 pixels, 192 in all, and 191 .* with --more"):
        VideoReader(path, Limits(pixels=191, raised_by="--more"))
    assert read(path, seconds=6.1, pixels=192) == 61
    huge = struct.pack("<II", 8192, 8193)
    path.write_bytes(data.replace(struct.pack("<II", 16, 12), huge))
    with pytest.raises(
        VideoDecodeError, match="8192 x 8193 pixels, .* 67,108,864 are allowed; make"
    ):
        VideoReader(path)
    declared = data[:600].replace(struct.pack("<I", 61), struct.pack("<I", 10))
    path.write_bytes(declared + data[600:])
    with VideoReader(path, Limits(seconds=3)) as reader:
        assert reader.info.duration_seconds == 1
        with pytest.raises(VideoDecodeError, match=r"it lasts 0:03\.1 or longer"):
            list(reader.frames(fps=1))
    assert read(path, seconds=7) == 61


def test_a_picture_that_is_too_large_is_refused_by_its_header_before_it_is_decoded(
    tmp_path, monkeypatch
):
    """FFmpeg takes 750 MB to say how large such a PNG is."""
    monkeypatch.setattr("cv2.VideoCapture", None)
    for kind in ("png", "webp", "bmp"):
        path = tmp_path / "a.mp4"
        Image.new("RGB", (400, 300)).save(path, kind)
        with pytest.raises(VideoDecodeError, match="400 x 300 pixels, 120,000 in all, and 119,999"):
            VideoReader(path, Limits(pixels=119_999))
        with pytest.raises(TypeError, match="not callable"):
            VideoReader(path, Limits(pixels=120_000))
    huge = path.read_bytes().replace(struct.pack("<II", 400, 300), struct.pack("<II", 16000, 16000))
    path.write_bytes(huge)
    with pytest.raises(VideoDecodeError, match="16000 x 16000 pixels, 256,000,000 in all"):
        VideoReader(path)


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


def test_lists_of_other_files_are_no_videos_where_that_is_asked_for(tmp_path, monkeypatch):
    """In a process of its own: that is for good."""
    monkeypatch.chdir(lossless(tmp_path / "a.avi", noise(5, 12, 16)).parent)
    Path("list.avi").write_text("ffconcat version 1.0\nfile a.avi\n")
    assert printed(CODE).split("\n")[:4] == [*["ffv1"] * 3, "it is text, not a video; it "]


def test_is_cut_off_or_has_missing_frames():
    for found, cut_off in (
        *((known(174, 172), False), (known(60, 50), False), (known(60, 49), True)),  # 8 or more
        *((known(141, 73), True), (known(1000, 901), False), (known(1000, 899), True)),
        *((known(12, 6), False), (known(12, 5), True), (known(2, 1), False), (known(3, 1), True)),
        (known(60, 61), False),  # more than declared
        *((known(None, 60), False), (known(60, None), False)),  # not known, not counted yet
        # A number computed from a duration is compared with time: half of the frames of a nominal
        # 30 a second are there, but they cover the whole duration.
        (known(300, 150, duration_seconds=10.0, fps=30.0), False),
        (known(300, 150, duration_seconds=5.0, fps=30.0), True),
    ):
        assert found.is_cut_off is cut_off
    # The clock of a container may begin before the first frame.
    found = known(174, 172, fps=30.0)
    later = dataclasses.replace(found, start_seconds=0.1)
    missing = [each.missing_frames for each in (known(60, 52), known(60, 61), found, later)]
    assert missing == [8, 0, 2, 0]


# Writing.

FRAMES = [
    np.full((48, 64, 3), (20 * index, 100, 255 - 20 * index), np.uint8) for index in range(10)
]


def left(folder):
    return sorted(path.name for path in folder.iterdir())


ERRORS = {f"clip.{suffix}": 5 for suffix in ("mp4", "m4v", "mov", "mkv", "webm")}
NAMES = [*((*each, None) for each in ({"clip.avi": 3} | ERRORS).items())]


@pytest.mark.parametrize(
    ("name", "error", "codec"),
    [*NAMES, ("clip.AVI", 5, "XVID"), ("clip.mkv", 0, "FFV1"), ("mit Ümlaut – 1.avi", 0, "FFV1")],
)
def test_frames_come_back(tmp_path, capfd, name, error, codec):
    path = tmp_path / name
    write_video(path, iter(FRAMES), fps=12.5, codec=codec)
    info = probe(path)
    assert (info.width, info.height, info.fps) == (64, 48, 12.5)
    assert info.declared_frames == 10
    difference = np.stack(list(iter_frames(path))).astype(int) - np.stack(FRAMES)
    assert np.abs(difference).max() <= error
    assert left(tmp_path) == [name]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (47, 63)])
def test_odd_sizes_are_filled_up_with_their_edge(tmp_path, height, width):
    frames = noise(3, height, width)
    read = iter_frames(lossless(tmp_path / "odd.avi", frames))
    for frame, stored in zip(frames, read, strict=True):
        assert stored.shape == (48, 64, 3)
        np.testing.assert_array_equal(stored[:height, :width], frame)
        np.testing.assert_array_equal(stored[-1, :width], frame[-1])
        np.testing.assert_array_equal(stored[:height, -1], frame[:, -1])


AVC = r"cannot write 'avc1' .* into .avi files: use 'MJPG'"


@pytest.mark.parametrize(
    ("name", "frames", "options", "message"),
    [
        ("clip.avi", [], {}, "expected at least one frame, got none"),
        ("clip.gif", FRAMES, {}, r"expected a suffix among .avi, .* got '.gif'"),
        ("no/clip.avi", FRAMES, {}, "the folder .*no does not exist"),
        ("cl\udcefp.avi", FRAMES, {}, "expected a name of valid UTF-8"),
        ("clip.avi", [FRAMES[0], FRAMES[0][:24]], {}, r"all of one size, got uint8 \(24, 64, 3\)"),
        ("clip.avi", [FRAMES[0][..., 0]], {}, r"uint8 \(H, W, 3\)"),
        ("clip.avi", [np.repeat(FRAMES[0], 2, axis=2)], {}, r"got uint8 \(48, 64, 6\)"),
        ("clip.avi", [FRAMES[0] / 255], {}, r"expected frames of uint8 .* got float64"),
        ("clip.avi", FRAMES, {"codec": "avc1"}, AVC),
        ("clip.webm", FRAMES, {"codec": "FFV1"}, r"cannot write 'FFV1' .* use 'VP80'"),
        ("clip.avi", FRAMES, {"codec": "MPEG4"}, "cannot write 'MPEG4'"),
        ("clip.avi", FRAMES, {"fps": 0}, "at 0 frames per second"),
        ("clip.avi", FRAMES, {"fps": float("nan")}, "at nan frames per second"),
        ("clip.avi", FRAMES, {"fps": float("inf")}, "at inf frames per second"),
        ("x" * 300 + ".avi", FRAMES, {}, "it cannot be written: File name too long"),
    ],
)
def test_mistakes(tmp_path, name, frames, options, message):
    with pytest.raises(VideoWriteError, match=message):
        write_video(tmp_path / name, frames, **{"fps": 25, **options})
    assert left(tmp_path) == []


def test_what_was_there_is_left_by_an_error_or_a_kill_else_replaced(tmp_path):
    path = tmp_path / "clip.avi"
    write_video(path, FRAMES, fps=25)

    def frames():
        yield FRAMES[0]
        raise OSError("camera unplugged")

    with pytest.raises(OSError, match="unplugged"):
        write_video(path, frames(), fps=25)
    assert left(tmp_path) == ["clip.avi"]
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert probe(path).declared_frames == 10
    assert [name for name in left(tmp_path) if not name.startswith(".")] == ["clip.avi"]
    write_video(path, FRAMES[:3], fps=25)
    assert probe(path).declared_frames == 3


KILLED = """
import sys, time
import numpy as np
from pipeline.video import write_video

def frames():
    for _ in range(50):
        yield np.zeros((48, 64, 3), np.uint8)
    print("written", flush=True)
    time.sleep(60)

write_video(sys.argv[1], frames(), fps=25)
"""


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4", "webm"])
def test_a_full_disk_is_noticed(tmp_path, full_disk, capfd, suffix):
    told = pytest.raises(VideoWriteError, match="of 99 frames could be written; is the disk full?")
    with full_disk(50_000), told:
        write_video(tmp_path / f"clip.{suffix}", noise(99), fps=25)
    assert left(tmp_path) == []
    assert "Warning" not in capfd.readouterr().err
