import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video import VideoReader, write_video
from pipeline.video.seeking import SeekingReader, mark_frames
from tests.video.videos import lossless

REAL = Path(os.environ.get("PIPELINE_VIDEOS", "/none"))


def coded(num_frames, height=48, width=64):
    """Frames that say their number by their brightness in three places."""
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    for number in range(num_frames):
        for place, digit in enumerate(divmod(number, 16)):
            frames[number, :, place * 32 : place * 32 + 32] = 16 * digit + 8
    return frames


def number_of(frame):
    first, second = (int(frame[:, at : at + 16].mean()) // 16 for at in (8, 40))
    return 16 * first + second


def stamps_of(path):
    return [mark.stamp for mark in mark_frames(path)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.avi", "FFV1"), ("a.avi", "MJPG"), ("a.avi", "mp4v"), ("a.mp4", "mp4v"), ("a.mkv", "FFV1")],
)
def test_a_frame_is_the_one_of_its_number_in_any_order(tmp_path, name, codec):
    path = tmp_path / name
    write_video(path, coded(200), fps=25, codec=codec)
    stamps = stamps_of(path)
    assert len(stamps) == 200
    rng, number = random.Random(0), 0
    with SeekingReader(path) as reader:
        for step in range(60):
            number = rng.randrange(200) if step % 3 else (number + rng.choice((-1, 1, -9))) % 200
            few = stamps[max(0, number - 99) : number + 1]
            frame = reader.frame(number, few, size=None)
            assert number_of(frame) == number
        assert reader.frame(0, stamps[:1], size=(24, 32)).shape == (24, 32, 3)


def test_marks_are_those_of_the_reader_and_of_the_file_as_it_was(tmp_path):
    frames = coded(30)
    frames[10:] = frames[9]
    marks = list(mark_frames(lossless(tmp_path / "a.avi", frames)))
    assert [mark.seconds for mark in marks] == pytest.approx([n / 10 for n in range(30)])
    assert marks[0].motion == 0
    assert all(mark.motion > 1 for mark in marks[1:10])
    assert all(mark.motion == 0 for mark in marks[10:])
    path = lossless(tmp_path / "a.avi", coded(60), fps=25)
    stamps = stamps_of(path)
    for num_frames, fps in ((60, 10), (20, 25)):
        lossless(path, coded(num_frames), fps=fps)
        told = pytest.raises(VideoDecodeError, match="its frame 50 is not where it was before")
        with SeekingReader(path) as reader, told:
            reader.frame(50, stamps[:51], size=None)


@pytest.mark.skipif(not REAL.is_dir(), reason="PIPELINE_VIDEOS is not set")
@pytest.mark.parametrize(
    "name",
    [
        *("decord_unordered.mov", "flipping_a_pancake.mkv", "grid_bbaf2n.mpg"),
        *("imageio_newtonscradle.gif", "mmaction2_test.avi", "golfdb_test_video.mp4"),
        *("torchcodec_h265_10bits.mp4", "ucf101_v_Basketball_g01_c01.avi", "vidtest.ogv"),
        *("decord_video_90.mov", "torchcodec_nasa_13013.mp4", "thetis_p3_backhand_s3.avi"),
    ],
)
def test_real_files(name):
    """Frames that depend on later ones, a clock that breaks off, frames on their side."""
    path = REAL / "odd" / name
    with VideoReader(path) as reader:
        frames = [frame[::4, ::4].copy() for frame in itertools.islice(reader.frames(), 100)]
    stamps, rng = stamps_of(path), random.Random(0)
    with SeekingReader(path) as reader:
        for _ in range(8):
            number = rng.randrange(len(frames))
            frame = reader.frame(number, stamps[: number + 1], size=None)
            assert np.array_equal(frame[::4, ::4], frames[number])
