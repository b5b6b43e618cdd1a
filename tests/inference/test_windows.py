"""From frames, read once for several models, to windows, the clips of evaluation, and segments."""

import functools
import itertools
import time
from dataclasses import replace
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
from pipeline.inference.clips import ClipModel, StoredVideo, decode_clip, readings_of
from pipeline.inference.segments import Curve, find_segments, smooth
from pipeline.inference.window_plan import WindowPlan, in_step, plan_windows
from pipeline.inference.windows import Window, slide
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.stored_frames import encode_array
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.exclusive import Exclusive
from pipeline.video import VideoReader, write_video

FPS, LENGTH = 10, 4
TASK = Exclusive()


@pytest.fixture(scope="module")
def video():
    """47 frames in which something moves, as an array."""
    rng = np.random.default_rng(0)
    frames = rng.integers(60, size=(1, 16, 16, 3), dtype=np.uint8).repeat(47, 0)
    for index, frame in enumerate(frames):
        frame[4:12, (3 * index + np.arange(5)) % 16] = rng.integers(100, 256, 3)
    return frames


@functools.cache
def network(kind):
    """Of streams, with weights as they come."""
    from pipeline.inference.tensorflow import of_recognizer

    config = RunConfig(
        frames=FramesConfig(fps=FPS, size=16, jpeg_quality=95, flow="flow" in kind),
        clip=ClipConfig(num_frames=LENGTH),
        model=ModelConfig(streams=tuple(kind.split("+"))),
        backbone=BackboneConfig(filters=(4,)),
        temporal=TemporalConfig(kind="gru", units=4),
    )
    return config, of_recognizer(build_recognizer(config, 3), config, Path("none"))


def bundle_for(config, sampling="uniform", **calibration):
    return Bundle(
        class_names=("a", "b", "c"),
        frames=config.frames,
        clip=ClipConfig(num_frames=LENGTH, sampling=sampling, stride=2),
        model=config.model,
        calibration=Calibration(**calibration),
    )


def model_for(kind, sampling="uniform"):
    config, runtime = network(kind)
    return ClipModel(runtime, bundle_for(config, sampling))


def stored_of(video, model):
    images = encode_array(video, model.bundle.frames, fps=FPS)
    return [dict(zip(images, each, strict=True)) for each in zip(*images.values(), strict=True)]


@pytest.mark.parametrize(
    ("kind", "sampling", "seconds", "overlap"),
    [
        ("difference", "uniform", 0.4, 0.5),
        ("rgb_difference", "uniform", 1.2, 0.5),
        ("flow", "uniform", 1.2, 0.75),
        ("rgb+difference+flow", "uniform", 1.6, 0.0),
        ("rgb+difference+flow", "dense", 9, 0.75),
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
    """A window is whole, or there is none."""
    model = model_for("difference")
    plan = plan_windows(model.bundle, window_seconds=1.2, overlap=0.5)
    assert (plan.length, plan.stride, plan.offset) == (4, 3, 1)  # the frames 1, 4, 7 and 10
    windows = list(slide(stored_of(video, model), model, plan))
    starts = [window.start_seconds for window in windows]
    np.testing.assert_allclose(np.diff(starts)[:-1], 0.6)
    assert windows[-1].end_seconds == pytest.approx(4.8), "its last third of a second is shown"
    for num_frames, number in ((2, 0), (10, 0), (11, 1), (12, 1), (48 - 12, 5)):
        windows = list(slide(stored_of(video[:num_frames], model), model, plan))
        assert len(windows) == number
    assert windows[-1].end_seconds == pytest.approx(3.6)


class Counting:
    """Counts the frames that the backbone sees."""

    def __init__(self, runtime):
        self.runtime, self.frames = runtime, 0

    def features(self, pairs):
        self.frames += len(next(iter(pairs.values())))
        return self.runtime.features(pairs)

    def logits(self, *arguments):
        return self.runtime.logits(*arguments)


def test_the_backbone_sees_a_frame_once_whatever_the_overlap(video):
    seen = []
    for overlap in (0.0, 0.75):
        model = model_for("difference")
        model.runtime = Counting(model.runtime)
        plan = plan_windows(model.bundle, window_seconds=0.8, overlap=overlap)
        windows = list(slide(stored_of(video, model), model, plan))
        seen.append((len(windows), model.runtime.frames))
    (few, frames), (many, same_frames) = seen
    assert many > 3 * few
    assert frames == same_frames
    assert frames <= 47 // 2 + 1


def test_the_length_of_windows_and_of_those_of_several_models_the_distance():
    config, _ = network("difference")
    for sampling, seconds, overlap, message in [
        ("uniform", 0, 0.5, "--window must be above 0"),
        ("uniform", float("inf"), 0.5, "--window must be above 0"),
        ("uniform", 1, 1.0, "--overlap must be from 0 to below 1"),
        ("dense", 2, 0, "--window: dense clips of this run last 0.80 s"),
    ]:
        with pytest.raises(ConfigError, match=message):
            plan_windows(bundle_for(config, sampling), window_seconds=seconds, overlap=overlap)
    plan = plan_windows(bundle_for(config, clip_seconds=3.1), overlap=0.75)
    assert (plan.length, plan.stride, plan.offset, plan.hop) == (4, 8, 4, 1)
    assert plan.window_seconds == pytest.approx(3.2), "that of training, about"
    plans = [
        WindowPlan(length=16, stride=2, offset=0, hop=4, fps=10.0),
        WindowPlan(length=8, stride=3, offset=1, hop=4, fps=10.0),
    ]
    stepped = in_step(plans)
    assert [plan.hop_seconds for plan in stepped] == pytest.approx([0.6, 0.6])
    assert [plan.hop for plan in stepped] == [3, 2]
    assert in_step(plans[:1]) == plans[:1]


# One reading of a file for several models.


FRAMES = FramesConfig(fps=FPS, size=32, jpeg_quality=90)
TABLE = {"pose": 2, "key_points": ("nose", "tail")}


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
    usual, frames = bundle_for(network("difference")[0]), [replace(FRAMES, **of) for of in each]
    readings = readings_of([replace(usual, frames=of) for of in frames])
    found = [[replace(each, shrink=1) for each in reading.frames] for reading in readings]
    assert found == [[replace(FRAMES, **kind) for kind in of] for of in kinds]
    assert [dict(reading.takes) for reading in readings] == takes


def test_what_is_read_in_several_sizes_and_stored_for_several_is_that_for_each(tmp_path):
    path, rng = tmp_path / "a.avi", np.random.default_rng(0)
    frames = rng.integers(256, size=(9, 48, 64, 3), dtype=np.uint8)
    write_video(path, frames, fps=15, codec="FFV1")
    sizes = [(32, 32), None, (16, 24)]
    with VideoReader(path) as reader:
        together = list(reader.frames_in_sizes(sizes, fps=20))
    for number, size in enumerate(sizes):
        with VideoReader(path) as reader:
            alone = list(reader.frames(fps=20, size=size))
        assert len(alone) == len(together) == 12
        for one, all_ in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, all_[number])
    repeats = [a is b for (a, *_), (b, *_) in itertools.pairwise(together)]
    assert any(repeats), "the same object where a frame repeats"
    each = [FRAMES, replace(FRAMES, size=16, flow=True)]
    together = list(StoredVideo(path, each))
    for number, of_one in enumerate(each):
        alone = [stored for (stored,) in StoredVideo(path, [of_one])]
        assert [stored[number] for stored in together] == alone


# Segments, by hand.


def curve(*of_a, scores=None):
    of_a = np.array(of_a, float)
    scores = np.full(len(of_a), 5.0) if scores is None else np.array(scores, float)
    return Curve(1.0, len(of_a), np.stack([of_a, 1 - of_a], axis=1), scores)


def found(of_a, scores=None, logit_threshold=None, temperature=1.0, **options):
    calibration = Calibration(logit_threshold=logit_threshold, temperature=temperature)
    segments = find_segments(curve(*of_a, scores=scores), "ab", calibration, **options)
    return [(each.label, each.start_seconds, each.end_seconds) for each in segments]


def test_segments_lie_end_to_end_and_their_figures_are_means():
    assert found((0.9, 0.7, 0.1, 0.3, 0.9)) == [("a", 0, 2), ("b", 2, 4), ("a", 4, 5)]
    several = curve(0.9, 0.2, 0.4, 0.7, scores=(1, 2, 9, 5))
    segments = find_segments(several, "ab", Calibration(logit_threshold=3.0), hysteresis=0)
    assert [each.label for each in segments] == ["unknown", "b", "a"]
    assert segments[0].probability == pytest.approx((0.9 + 0.8) / 2), "of the most probable one"
    assert [each.probability for each in segments[1:]] == pytest.approx([0.6, 0.7])
    assert [each.max_logit for each in segments] == [1.5, 9, 5]


def test_a_label_that_is_hardly_less_probable_stays_and_of_too_little_evidence_is_unknown():
    wavering = (0.6, 0.48, 0.52, 0.48, 0.2)
    assert found(wavering, hysteresis=0.1) == [("a", 0, 4), ("b", 4, 5)]
    assert len(found(wavering, hysteresis=0.0)) == 4
    sure = (0.95, 0.95, 0.95, 0.95, 0.45)
    segments = [("a", 0, 2), ("unknown", 2, 4), ("b", 4, 5)]
    little = (4, 3, 2.9, -1, 4)
    assert found(sure, little, logit_threshold=3.0) == segments, "nothing of before is held on to"
    assert found(sure, little, logit_threshold=-2.0) == [("a", 0, 5)]
    assert found((0.6, 0.6), (1, 2), logit_threshold=3.0) == [("unknown", 0, 2)]
    assert found((0.6,), (3.0,), logit_threshold=3.0) == [("a", 0, 1)]


def test_to_leave_unknown_takes_more_evidence_than_to_stay_known():
    """Two logits that are 0.405 apart make probabilities of 0.6 and 0.4, 0.2 apart.

    At twice the temperature they must be twice as far apart for that.
    """
    little = (2.9, 3.4, 3.41, 3.79, 3.82)
    for hysteresis, temperature, leaves in ((0.2, 1, 2), (0, 1, 1), (1, 1, 5), (0.2, 2, 4)):
        options = {"hysteresis": hysteresis, "temperature": temperature, "logit_threshold": 3.0}
        known = [("a", leaves, 5)] if leaves < 5 else []
        assert found((0.9,) * 5, little, **options) == [("unknown", 0, leaves), *known]
        assert found((0.9,) * 3, (4, 3.0, 2.9), **options)[0][2] == 2


def test_a_short_segment_goes_to_its_more_probable_neighbour_the_shortest_first():
    """What it joins grows: counted once more, by looking at all segments each time."""
    assert found((0.9, 0.9, 0.2, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 5)]
    assert found((0.1, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 3)]
    assert found((0.9,), shortest_seconds=2) == [("a", 0, 1)], "there is nothing else"
    options = {"logit_threshold": 3.0, "shortest_seconds": 2}
    beside = found((0.9, 0.9, 0.3, 0.9, 0.9), (0, 0, 5, 5, 5), **options)
    assert beside == [("unknown", 0, 2), ("a", 2, 5)], "to the class, if that is possible there"
    rng = np.random.default_rng(0)
    for _ in range(50):
        shares = rng.dirichlet(np.full(3, 0.5), 40)
        several = Curve(1.0, 40.0, shares, np.full(40, 5.0))
        runs = [[label, 1] for label in shares.argmax(axis=1)]
        while True:
            for at in range(len(runs) - 1, 0, -1):
                if runs[at][0] == runs[at - 1][0]:
                    runs[at - 1][1] += runs.pop(at)[1]
            starts = np.cumsum([0, *(length for _, length in runs)])
            at = int(np.argmin([length for _, length in runs]))
            if runs[at][1] >= 4 or len(runs) == 1:
                break
            inside = shares[starts[at] : starts[at + 1]].mean(axis=0)
            beside = [runs[i][0] for i in (at - 1, at + 1) if 0 <= i < len(runs)]
            runs[at][0] = max(beside, key=lambda label: inside[label])
        segments = find_segments(several, "abc", Calibration(), hysteresis=0, shortest_seconds=4)
        assert [(s.label, s.start_seconds) for s in segments] == [
            ("abc"[label], start) for (label, _), start in zip(runs, starts[:-1], strict=True)
        ]


def probability_curve(windows, cell_seconds, duration_seconds, task, temperature):
    logits, scores = smooth(windows, cell_seconds, duration_seconds, task)
    shares = task.probabilities(logits, temperature)
    return Curve(cell_seconds, duration_seconds, shares, scores)


def seconds_of(num_windows):
    """Processor time of a video whose label changes all the time."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (num_windows, 4)).astype(np.float32)
    windows = [Window(0.5 * i, 0.5 * i + 2, row) for i, row in enumerate(logits)]
    started = time.process_time()
    smoothed = probability_curve(windows, 0.5, 0.5 * num_windows + 1.5, TASK, 1.0)
    segments = find_segments(smoothed, "abcd", Calibration(), shortest_seconds=1.5)
    assert num_windows / 12 < len(segments) < num_windows / 3
    return time.process_time() - started


def test_work_grows_with_the_length_of_a_video_and_not_with_its_square():
    short = min(seconds_of(2000) for _ in range(3))
    assert min(seconds_of(16000) for _ in range(3)) < 32 * short  # the square would be 64


def test_a_time_is_what_the_windows_say_whose_middle_is_near_and_its_score_that_of_the_best():
    windows = [
        Window(0.0, 4.0, np.array([2.0, 0.0], np.float32)),
        Window(2.0, 6.0, np.array([0.0, 2.0], np.float32)),
    ]
    smoothed = probability_curve(windows, 1.0, 6.0, TASK, 2.0)
    assert [smoothed.seconds(cell) for cell in range(7)] == [0, 1, 2, 3, 4, 5, 6]
    first = TASK.probabilities(np.array([2.0, 0.0]), 2.0)
    np.testing.assert_allclose(smoothed.probabilities[:2], [first, first])
    # At 2.5 s the first window is half a second off its middle, the other 1.5 s, of 2 s.
    mixed = TASK.probabilities(np.array([1.5, 0.5]), 2.0)
    np.testing.assert_allclose(smoothed.probabilities[2], mixed)
    np.testing.assert_allclose(smoothed.probabilities.sum(axis=1), 1)
    logits = np.array([[7.0, 0.0], [1.0, 2.0], [0.0, 5.0]], np.float32)
    windows = [Window(2.0 * i, 2.0 * i + 4, row) for i, row in enumerate(logits)]
    found = probability_curve(windows, 2.0, 10.0, TASK, 1.0)
    assert found.scores.tolist() == [7, 7, 5, 5, 5], "the last cell is behind all windows"
    # The last cell ends with the video.
    for end in (2.0, 2.5, 4.0):
        windows = [Window(0.0, end, np.zeros(2, np.float32))]
        found = probability_curve(windows, 1.0, 2.5, TASK, 1.0)
        assert [found.seconds(cell) for cell in range(4)] == [0, 1, 2, 2.5]
        assert np.isfinite(found.probabilities).all()
