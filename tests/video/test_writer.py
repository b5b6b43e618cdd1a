import signal
import subprocess
import sys

import numpy as np
import pytest

from pipeline.video import VideoWriteError, iter_frames, probe, write_video
from tests.video.videos import lossless, noise

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
    path = lossless(tmp_path / "odd.avi", frames)
    for frame, stored in zip(frames, iter_frames(path), strict=True):
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
