"""Stored frames: those of a reader as JPEG, their flow, and holding many in little memory."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import FramesConfig
from pipeline.frames.encoding import FrameSpool, encode_video
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
from tests.prepare.people import render

FRAMES = FramesConfig(fps=5, size=16, jpeg_quality=90)
STILL = (128, 128, 0)


@pytest.fixture
def video(tmp_path):
    """A picture that slides to the right, by two pixels a frame."""
    cells = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    picture = cells.repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(picture, 2 * index, axis=1) for index in range(6)])
    write_video(tmp_path / "slide.avi", frames, fps=4, codec="FFV1")
    return tmp_path / "slide.avi"


def test_frames_are_those_of_a_reader_as_jpeg(tmp_path):
    for num_frames, fps, stored_fps, first_of_each in (
        (8, 10, 5, [0, 1, 2, 3]),
        (3, 2, 6, [0, 0, 0, 3, 3, 3, 6, 6, 6]),
    ):
        path = render(tmp_path / "a.avi", 1, num_frames=num_frames, fps=fps)
        with VideoReader(path) as reader:
            frames = reader.frames(fps=stored_fps, size=(16, 16))
            expected = [encode_jpeg(frame, quality=90) for frame in frames]
        found, info = encode_video(path, dataclasses.replace(FRAMES, fps=stored_fps))
        images = found["frames"]
        assert found == {"frames": expected}
        assert [images.index(image) for image in images] == first_of_each
        assert all(images[index] is images[first] for index, first in enumerate(first_of_each))
        assert info.num_frames == num_frames
        assert decode_jpeg(images[0]).shape == (16, 16, 3)


def test_flow_leads_from_the_stored_frame_before_and_is_none_where_one_repeats(video, monkeypatch):
    """From that of two frames before, then, which is another motion."""
    frames = FramesConfig(fps=2, size=32, jpeg_quality=60, flow=True)
    stored = list(iter_frames(video, fps=2, size=(32, 32)))
    assert len(stored) == 3
    images, _ = encode_video(video, frames)
    pairs = zip([stored[0], *stored], stored, strict=False)
    assert images["flow"] == [encode_flow(flow_image(*pair), quality=60) for pair in pairs]
    assert np.median(decode_flow(images["flow"][2])[..., 0]) == 255, "4 pixels of 32"
    without, _ = encode_video(video, dataclasses.replace(frames, flow=False))
    assert without == {"frames": images["frames"]}
    looked_at = []

    def look(before, frame):
        looked_at.append(not np.array_equal(before, frame))
        return flow_image(before, frame)

    monkeypatch.setattr("pipeline.streams.pictures.flow_image", look)
    images, _ = encode_video(video, FramesConfig(fps=8, size=32, jpeg_quality=95, flow=True))
    assert looked_at == [True] * 5
    still = [bool((decode_flow(image) == STILL).all()) for image in images["flow"]]
    assert still == [True, True] + [False, True] * 5, "nor in the first one"


def test_a_spool_gives_frames_in_any_order():
    rng = np.random.default_rng(0)
    images = [rng.bytes(length) for length in (700_000, 1, 700_000, 0)]  # more than memory holds
    with FrameSpool() as spool:
        for image in images:
            spool.append(image)
        assert spool.num_bytes == 1_400_001
        assert [spool[index] for index in (3, 0, 2)] == [images[i] for i in (3, 0, 2)]
        assert list(spool) == images
