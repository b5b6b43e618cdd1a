"""The frames that are stored of a video, and the optical flow beside them."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import FramesConfig
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import (
    VideoReader,
    decode_flow,
    decode_jpeg,
    encode_flow,
    encode_jpeg,
    flow_image,
    iter_frames,
    write_video,
)
from tests.prepare.shards import FRAMES, render

STILL = (128, 128, 0)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A picture that slides to the right, by two pixels a frame."""
    cells = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    picture = cells.repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(picture, 2 * index, axis=1) for index in range(6)])
    write_video(tmp_path / "slide.avi", frames, fps=4, codec="FFV1")
    return tmp_path / "slide.avi"


def test_encode_video_gives_the_frames_of_the_reader_as_jpeg(videos: Path) -> None:
    path = videos / "run" / "0 ü.avi"
    with VideoReader(path) as reader:
        expected = [encode_jpeg(f, quality=90) for f in reader.frames(fps=5, size=(16, 16))]

    images, info = encode_video(path, FRAMES)

    assert images == {"frames": expected}
    assert len(expected) == 6
    assert info.num_frames == 12
    assert decode_jpeg(expected[0]).shape == (16, 16, 3)


def test_encode_video_repeats_frames_of_a_slow_video(tmp_path: Path) -> None:
    path = render(tmp_path / "slow.avi", num_frames=3, fps=2)
    with VideoReader(path) as reader:
        expected = [encode_jpeg(f, quality=90) for f in reader.frames(fps=6, size=(16, 16))]

    images = encode_video(path, FramesConfig(fps=6, size=16, jpeg_quality=90))[0]["frames"]

    assert images == expected
    assert [images.index(image) for image in images] == [0, 0, 0, 3, 3, 3, 6, 6, 6]
    assert images[0] is images[2], "encoded once"


def test_flow_leads_from_the_stored_frame_before(video: Path) -> None:
    """From that of two frames before, then, which is another motion."""
    frames = FramesConfig(fps=2, size=32, jpeg_quality=60, flow=True)
    stored = list(iter_frames(video, fps=2, size=(32, 32)))
    assert len(stored) == 3

    images, _ = encode_video(video, frames)

    pairs = zip([stored[0], *stored], stored, strict=False)
    assert images["flow"] == [encode_flow(flow_image(*pair), quality=60) for pair in pairs]
    assert np.median(decode_flow(images["flow"][2])[..., 0]) == 255, "4 pixels of 32"


def test_nothing_moves_in_the_first_frame_and_in_one_that_repeats(video: Path) -> None:
    images, _ = encode_video(video, FramesConfig(fps=8, size=32, jpeg_quality=95, flow=True))
    still = [bool((decode_flow(image) == STILL).all()) for image in images["flow"]]
    assert still == [True, True] + [False, True] * 5


def test_frames_are_the_same_with_and_without_flow(video: Path) -> None:
    without = encode_video(video, FramesConfig(fps=3, size=16, jpeg_quality=95))[0]
    images = encode_video(video, FramesConfig(fps=3, size=16, jpeg_quality=95, flow=True))[0]
    assert set(without) == {"frames"}
    assert images["frames"] == without["frames"]


def test_no_motion_is_looked_for_where_a_frame_repeats(video: Path, monkeypatch) -> None:
    looked_at = []

    def look(before, frame):
        looked_at.append(not np.array_equal(before, frame))
        return flow_image(before, frame)

    monkeypatch.setattr("pipeline.streams.flow.flow_image", look)
    encode_video(video, FramesConfig(fps=8, size=32, jpeg_quality=95, flow=True))
    assert looked_at == [True] * 5
