"""One reading of a video for several models."""

import dataclasses
import itertools

import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig
from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import StoredVideo, readings_of
from pipeline.inference.window_plan import WindowPlan, in_step
from pipeline.tasks.calibration import Calibration
from pipeline.video import VideoReader, write_video

FRAMES = FramesConfig(fps=10, size=32, jpeg_quality=90)
TABLE = {"pose": 2, "key_points": ("nose", "tail")}


def bundle(**changes):
    return Bundle(
        class_names=("a", "b"),
        frames=dataclasses.replace(FRAMES, **changes),
        clip=ClipConfig(),
        model=ModelConfig(task="video"),
        calibration=Calibration(),
    )


@pytest.mark.parametrize(
    ("each", "kinds", "takes"),
    [
        ([{}, {}], [[{}]], [{0: 0, 1: 0}]),
        ([{}, {"size": 64}], [[{}, {"size": 64}]], [{0: 0, 1: 1}]),
        ([{}, {"jpeg_quality": 95}], [[{}, {"jpeg_quality": 95}]], [{0: 0, 1: 1}]),
        ([{}, {"fps": 5.0}, {}], [[{}], [{"fps": 5.0}]], [{0: 0, 2: 0}, {1: 0}]),
        ([{"flow": True}, {"pose": 2}], [[{"flow": True, "pose": 2}]], [{0: 0, 1: 0}]),
        ([{"pose": 1}, {"pose": 2}], [[{"pose": 1}, {"pose": 2}]], [{0: 0, 1: 1}]),
        ([{"shrink": 4}, {}], [[{}]], [{0: 0, 1: 0}]),
        ([{"flow": True}, TABLE], [[{"flow": True, **TABLE}]], [{0: 0, 1: 0}]),
        ([TABLE, {"pose": 2}], [[TABLE, {"pose": 2}]], [{0: 0, 1: 1}]),
    ],
)
def test_what_is_read_at_once(each, kinds, takes):
    readings = readings_of([bundle(**changes) for changes in each])
    expected = [[dataclasses.replace(FRAMES, **kind) for kind in of] for of in kinds]
    found = [[dataclasses.replace(f, shrink=1) for f in reading.frames] for reading in readings]
    assert found == expected
    assert [dict(reading.takes) for reading in readings] == takes


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "a.avi"
    rng = np.random.default_rng(0)
    write_video(path, rng.integers(256, size=(9, 48, 64, 3), dtype=np.uint8), fps=15, codec="FFV1")
    return path


def test_frames_in_several_sizes_are_those_in_each(video):
    sizes = [(32, 32), None, (16, 24)]
    with VideoReader(video) as reader:
        together = list(reader.frames_in_sizes(sizes, fps=20))
    for number, size in enumerate(sizes):
        with VideoReader(video) as reader:
            alone = list(reader.frames(fps=20, size=size))
        assert len(alone) == len(together) == 12
        for one, all_ in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, all_[number])
    repeats = [a is b for (a, *_), (b, *_) in itertools.pairwise(together)]
    assert any(repeats), "the same object where a frame repeats"


def test_what_is_stored_for_several_is_that_for_each(video):
    each = [FRAMES, dataclasses.replace(FRAMES, size=16, flow=True)]
    together = list(StoredVideo(video, each))
    for number, frames in enumerate(each):
        alone = [stored for (stored,) in StoredVideo(video, [frames])]
        assert [stored[number] for stored in together] == alone


def test_windows_of_several_models_follow_at_one_distance():
    plans = [
        WindowPlan(length=16, stride=2, offset=0, hop=4, fps=10.0),
        WindowPlan(length=8, stride=3, offset=1, hop=4, fps=10.0),
    ]
    stepped = in_step(plans)
    assert [plan.hop_seconds for plan in stepped] == pytest.approx([0.6, 0.6])
    assert [plan.hop for plan in stepped] == [3, 2]
    assert in_step(plans[:1]) == plans[:1]
