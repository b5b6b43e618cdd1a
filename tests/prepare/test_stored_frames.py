"""The frames that are stored of a video, their rate, and the optical flow beside them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import FramesConfig
from pipeline.prepare.rate import chosen_rate, stored_rate
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
from tests.prepare.people import FRAMES, configure, render

STILL = (128, 128, 0)


@pytest.fixture
def video(tmp_path):
    """A picture that slides to the right, by two pixels a frame."""
    cells = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    picture = cells.repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(picture, 2 * index, axis=1) for index in range(6)])
    write_video(tmp_path / "slide.avi", frames, fps=4, codec="FFV1")
    return tmp_path / "slide.avi"


@pytest.mark.parametrize(
    ("num_frames", "fps", "stored_fps", "first_of_each"),
    [(8, 10, 5, [0, 1, 2, 3]), (3, 2, 6, [0, 0, 0, 3, 3, 3, 6, 6, 6])],
)
def test_frames_are_those_of_the_reader_as_jpeg(
    tmp_path, num_frames, fps, stored_fps, first_of_each
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


def test_flow_leads_from_the_stored_frame_before(video):
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


def test_no_motion_is_looked_for_where_a_frame_repeats(video, monkeypatch):
    looked_at = []

    def look(before, frame):
        looked_at.append(not np.array_equal(before, frame))
        return flow_image(before, frame)

    monkeypatch.setattr("pipeline.streams.flow.flow_image", look)
    images, _ = encode_video(video, FramesConfig(fps=8, size=32, jpeg_quality=95, flow=True))
    assert looked_at == [True] * 5
    still = [bool((decode_flow(image) == STILL).all()) for image in images["flow"]]
    assert still == [True, True] + [False, True] * 5, "nor in the first one"


# The rate that is chosen of those that videos have.


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([], 15),
        ([30, 25, 60], 15),
        ([14.985] * 3, 15),  # half of what television has: as good as 15
        ([14] * 3, 14),
        ([0.1] * 5 + [30] * 6, 7.5),  # half of what most would get
        ([0.1] * 6 + [30] * 5, 0.1),
        ([5] * 2 + [30] * 38, 15),  # one in twenty
        ([9] * 2 + [30] * 37, 9),
    ],
)
def test_stored_rate(rates, expected):
    assert stored_rate(rates) == expected


def test_rate_of_files(tmp_path, monkeypatch):
    """Evenly chosen where there are many; one that cannot be read is passed over."""
    monkeypatch.setattr("pipeline.prepare.rate._LOOKED_AT", 3)
    paths = [str(tmp_path / f"{rate}.avi") for rate in (14, 10, 12, 11, 13, 15)]
    for path in paths:
        rate = float(Path(path).stem)
        write_video(path, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=rate, codec="FFV1")
    Path(paths[2]).write_text("no video")
    config = configure(tmp_path)
    assert chosen_rate(paths, config) == 13
