"""Windows over a long video are the clips that evaluation would cut of its parts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
)
from pipeline.dataset.sampling import sample_clip
from pipeline.errors import ConfigError
from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import ClipModel, decode_clip
from pipeline.inference.window_plan import plan_windows
from pipeline.inference.windows import slide
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.stored_frames import encode_array
from pipeline.tasks.calibration import Calibration

FPS = 10
LENGTH = 4


@pytest.fixture(scope="module")
def video():
    """47 frames in which something moves, as an array."""
    rng = np.random.default_rng(0)
    frames = rng.integers(60, size=(1, 32, 32, 3), dtype=np.uint8).repeat(47, 0)
    for index, frame in enumerate(frames):
        frame[8:16, (3 * index + np.arange(9)) % 32] = rng.integers(100, 256, 3)
    return frames


def model_for(kind, sampling="uniform", stride=2):
    """A model with weights as they come, and statistics as if it had been trained."""
    from pipeline.inference.tensorflow import of_recognizer

    config = RunConfig(
        frames=FramesConfig(fps=FPS, size=32, jpeg_quality=95, flow="flow" in kind),
        clip=ClipConfig(num_frames=LENGTH, sampling=sampling, stride=stride),
        model=ModelConfig(streams=tuple(kind.split("+"))),
        backbone=BackboneConfig(filters=(4, 8)),
        temporal=TemporalConfig(units=8),
    )
    model = build_recognizer(config, 3)
    bundle = Bundle(
        class_names=("a", "b", "c"),
        frames=config.frames,
        clip=config.clip,
        model=config.model,
        calibration=Calibration(),
    )
    return ClipModel(of_recognizer(model, config, Path("none")), bundle)


def stored_of(video, model):
    images = encode_array(video, model.bundle.frames, fps=FPS)
    return [dict(zip(images, each, strict=True)) for each in zip(*images.values(), strict=True)]


@pytest.mark.parametrize(
    ("kind", "sampling", "seconds", "overlap"),
    [
        ("difference", "uniform", 1.2, 0.75),
        ("difference", "uniform", 0.4, 0.5),
        ("difference", "dense", 9, 0.5),
        ("rgb", "uniform", 1.6, 0.0),
        ("rgb_difference", "uniform", 1.2, 0.5),
        ("flow", "uniform", 0.4, 0.5),
        ("flow", "uniform", 1.2, 0.5),
        ("rgb+flow", "uniform", 0.8, 0.75),
        ("rgb+difference", "dense", 9, 0.75),
        ("rgb+difference+flow", "uniform", 0.8, 0.75),
    ],
)
def test_logits_are_those_of_the_clip_of_the_part(video, kind, sampling, seconds, overlap):
    model = model_for(kind, sampling)
    plan = plan_windows(
        model.bundle, window_seconds=None if sampling == "dense" else seconds, overlap=overlap
    )
    windows = list(slide(stored_of(video, model), model, plan))
    span = plan.length * plan.stride
    assert len(windows) > 47 // span
    logits = []
    for window in windows:
        start = round(window.start_seconds * FPS)
        part = video[start : start + span]
        assert len(part) >= span - plan.stride
        assert window.end_seconds == pytest.approx((start + span) / FPS)
        indices, mask = sample_clip(span, model.bundle.clip)
        images = stored_of(part, model)
        chosen = {name: [images[index][name] for index in indices] for name in images[0]}
        clip = decode_clip(chosen, model.bundle)
        expected = model.runtime.clip_logits({**clip, "mask": mask})
        np.testing.assert_allclose(window.logits, expected, atol=1e-5)
        logits.append(expected)
    assert np.std(logits, axis=0).max() > 1e-4, "windows that are all alike would prove nothing"


def test_windows_follow_each_other_and_the_last_ends_with_the_video(video):
    model = model_for("difference")
    plan = plan_windows(model.bundle, window_seconds=1.2, overlap=0.5)
    windows = list(slide(stored_of(video, model), model, plan))
    starts = [window.start_seconds for window in windows]
    np.testing.assert_allclose(np.diff(starts)[:-1], 0.6)
    assert windows[-1].end_seconds == pytest.approx(4.8), "its last third of a second is shown"
    whole = list(slide(stored_of(video[: 48 - 12], model), model, plan))
    assert [w.end_seconds for w in whole][-1] == pytest.approx(3.6)
    assert len(whole) == 5


@pytest.mark.parametrize(("num_frames", "number"), [(2, 0), (10, 0), (11, 1), (12, 1)])
def test_a_window_is_whole_or_there_is_none(video, num_frames, number):
    model = model_for("difference")
    plan = plan_windows(model.bundle, window_seconds=1.2, overlap=0.5)
    assert (plan.length, plan.stride, plan.offset) == (4, 3, 1)  # the frames 1, 4, 7 and 10
    windows = list(slide(stored_of(video[:num_frames], model), model, plan))
    assert len(windows) == number


class Counting:
    """Counts the frames that the backbone sees."""

    def __init__(self, runtime):
        self.runtime, self.frames = runtime, 0

    def features(self, pairs):
        self.frames += len(next(iter(pairs.values())))
        return self.runtime.features(pairs)

    def logits(self, *arguments):
        return self.runtime.logits(*arguments)


@pytest.mark.parametrize("kind", ["rgb", "difference"])
def test_the_backbone_sees_a_frame_once_whatever_the_overlap(video, kind):
    seen = []
    for overlap in (0.0, 0.75):
        model = model_for(kind)
        model.runtime = Counting(model.runtime)
        plan = plan_windows(model.bundle, window_seconds=0.8, overlap=overlap)
        windows = list(slide(stored_of(video, model), model, plan))
        seen.append((len(windows), model.runtime.frames))
    (few, frames), (many, same_frames) = seen
    assert many > 3 * few
    assert frames == same_frames
    assert frames <= 47 // 2 + 1


def test_values_out_of_range():
    bundle = model_for("rgb").bundle
    for seconds, overlap, message in [
        (0, 0.5, "--window must be above 0"),
        (float("inf"), 0.5, "--window must be above 0"),
        (1, 1.0, "--overlap must be from 0 to below 1"),
    ]:
        with pytest.raises(ConfigError, match=message):
            plan_windows(bundle, window_seconds=seconds, overlap=overlap)
    with pytest.raises(ConfigError, match="--window: dense clips of this run last 0.80 s"):
        plan_windows(model_for("rgb", "dense").bundle, window_seconds=2, overlap=0)


def test_the_usual_length_is_that_of_training():
    bundle = dataclasses.replace(model_for("rgb").bundle, calibration=Calibration(clip_seconds=3.1))
    plan = plan_windows(bundle, overlap=0.75)
    assert (plan.length, plan.stride, plan.offset, plan.hop) == (4, 8, 4, 1)
    assert plan.window_seconds == pytest.approx(3.2)
