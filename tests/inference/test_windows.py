"""From frames to windows, the clips of evaluation, to segments; and answers at every frame."""

import dataclasses
import functools
import itertools
import json
import pickle
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.cli.timelines import format_timeline
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
from pipeline.evaluation.predict import predict
from pipeline.frames.encoding import encode_array
from pipeline.inference.agreement import check, compare
from pipeline.inference.bundle import Bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import ClipModel, StoredVideo, decode_clip, pairs_of, readings_of
from pipeline.inference.export import _write
from pipeline.inference.frame_answers import frame_logits
from pipeline.inference.runtimes import open_runtime
from pipeline.inference.segments import Curve, find_segments, smooth
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.inference.window_plan import WindowPlan, in_step, plan_as_evaluation, plan_windows
from pipeline.inference.windows import Window, slide
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.prepare.prepared import open_prepared
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.multi_class import MultiClass
from pipeline.video import LiveVideo, VideoReader, write_video
from tests.conftest import prepared
from tests.inference.commands import classify
from tests.runs import draw_weights

FPS, LENGTH = 10, 4
TASK = MultiClass()


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


def test_the_backbone_sees_a_frame_once_whatever_the_overlap(video, monkeypatch):
    model, seen, windows = model_for("difference"), {0.0: 0, 0.75: 0}, []
    features = model.runtime.features

    def counted(pairs):
        seen[overlap] += len(pairs["frames"])
        return features(pairs)

    monkeypatch.setattr(model.runtime, "features", counted)
    for overlap in seen:
        plan = plan_windows(model.bundle, window_seconds=0.8, overlap=overlap)
        windows.append(len(list(slide(stored_of(video, model), model, plan))))
    assert windows[1] > 3 * windows[0]
    assert seen[0.0] == seen[0.75] <= 47 // 2 + 1


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


def labelled(of_a, scores=None, logit_threshold=None, temperature=1.0, **options):
    calibration = Calibration(logit_threshold=logit_threshold, temperature=temperature)
    segments = find_segments(curve(*of_a, scores=scores), "ab", calibration, **options)
    return [(each.label, each.start_seconds, each.end_seconds) for each in segments]


def test_segments_lie_end_to_end_and_their_figures_are_means():
    assert labelled((0.9, 0.7, 0.1, 0.3, 0.9)) == [("a", 0, 2), ("b", 2, 4), ("a", 4, 5)]
    several = curve(0.9, 0.2, 0.4, 0.7, scores=(1, 2, 9, 5))
    segments = find_segments(several, "ab", Calibration(logit_threshold=3.0), hysteresis=0)
    assert [each.label for each in segments] == ["unknown", "b", "a"]
    assert segments[0].probability == pytest.approx((0.9 + 0.8) / 2), "of the most probable one"
    assert [each.probability for each in segments[1:]] == pytest.approx([0.6, 0.7])
    assert [each.max_logit for each in segments] == [1.5, 9, 5]


def test_a_label_that_is_hardly_less_probable_stays_and_of_too_little_evidence_is_unknown():
    wavering = (0.6, 0.48, 0.52, 0.48, 0.2)
    assert labelled(wavering, hysteresis=0.1) == [("a", 0, 4), ("b", 4, 5)]
    assert len(labelled(wavering, hysteresis=0.0)) == 4
    sure = (0.95, 0.95, 0.95, 0.95, 0.45)
    segments = [("a", 0, 2), ("unknown", 2, 4), ("b", 4, 5)]
    little = (4, 3, 2.9, -1, 4)
    assert labelled(sure, little, logit_threshold=3.0) == segments, (
        "nothing of before is held on to"
    )
    assert labelled(sure, little, logit_threshold=-2.0) == [("a", 0, 5)]
    assert labelled((0.6, 0.6), (1, 2), logit_threshold=3.0) == [("unknown", 0, 2)]
    assert labelled((0.6,), (3.0,), logit_threshold=3.0) == [("a", 0, 1)]


def test_to_leave_unknown_takes_more_evidence_than_to_stay_known():
    """Two logits that are 0.405 apart make probabilities of 0.6 and 0.4, 0.2 apart.

    At twice the temperature they must be twice as far apart for that.
    """
    little = (2.9, 3.4, 3.41, 3.79, 3.82)
    for hysteresis, temperature, leaves in ((0.2, 1, 2), (0, 1, 1), (1, 1, 5), (0.2, 2, 4)):
        options = {"hysteresis": hysteresis, "temperature": temperature, "logit_threshold": 3.0}
        known = [("a", leaves, 5)] if leaves < 5 else []
        assert labelled((0.9,) * 5, little, **options) == [("unknown", 0, leaves), *known]
        assert labelled((0.9,) * 3, (4, 3.0, 2.9), **options)[0][2] == 2


def test_a_short_segment_goes_to_its_more_probable_neighbour_the_shortest_first():
    """What it joins grows: counted once more, by looking at all segments each time."""
    assert labelled((0.9, 0.9, 0.2, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 5)]
    assert labelled((0.1, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 3)]
    assert labelled((0.9,), shortest_seconds=2) == [("a", 0, 1)], "there is nothing else"
    options = {"logit_threshold": 3.0, "shortest_seconds": 2}
    beside = labelled((0.9, 0.9, 0.3, 0.9, 0.9), (0, 0, 5, 5, 5), **options)
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


# Runs that answer at every frame: what is exported, timelines and streams.

CLIP = 8
NAMES = ("background", "jump", "wave")
TCN = {"kind": "tcn", "layers": 3}
KINDS = {
    "looks ahead, in two stages": ("frames-multilabel", 1, {**TCN, "stages": 2}),
    "looks back, every second frame": ("frames", 2, {**TCN, "causal": True}),
}
BOTH_WAYS = ("frames", 1, {"kind": "bilstm"})
LENGTHS = {"a.avi": 43, "b.avi": 30, "short.avi": 5, "one.avi": 1}


def configured(task, stride, temporal, streams=("rgb", "difference")):
    return RunConfig(
        frames=FramesConfig(fps=FPS, size=16, jpeg_quality=95),
        clip=ClipConfig(num_frames=CLIP, sampling="dense", stride=stride),
        model=ModelConfig(task=task, streams=streams, background=NAMES[0]),
        backbone=BackboneConfig(filters=(4,), grid=2),
        temporal=TemporalConfig(units=6, **temporal),
    )


def with_weights(config):
    model = build_recognizer(config, len(NAMES))
    draw_weights(model, 0)
    return model


def centre(model, predictions):
    """Changes a model so that its logits are 0 in the mean, lest it always answer the same."""
    mean = predictions.logits.mean(axis=0)
    for weight in model.weights:
        if weight.name == "bias" and weight.shape == mean.shape:
            weight.assign(np.asarray(weight) - mean)


def write_run(model, config, run, **calibration):
    """A run that was exported, with what classifying takes, and its model."""
    run.folder.mkdir(parents=True)
    model.save(run.model_file)
    _write("litert", model, config, None, run.litert_file, {})
    bundle = Bundle(
        class_names=NAMES,
        frames=config.frames.only(config.model.images),
        clip=config.clip,
        model=config.model,
        calibration=Calibration(**calibration),
        looks_back_only=config.temporal.looks_back_only,
    )
    write_bundle(bundle, run)


def stored_at(path, frames):
    return (stored for (stored,) in StoredVideo(path, [frames]))


def make_store(root):
    """Recordings of noise that changes a few times a second, some shorter than a window."""
    (root / "videos").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for name, length in LENGTHS.items():
        frames = rng.integers(256, size=(length, 4, 4, 3), dtype=np.uint8)
        large = frames[np.arange(length) // 3].repeat(4, axis=1).repeat(4, axis=2)
        write_video(root / "videos" / name, large, fps=FPS, codec="FFV1")
    lines = [f"{name},0,0.1,{NAMES[1 + index % 2]},train" for index, name in enumerate(LENGTHS)]
    table = ["video,start_seconds,end_seconds,label,split", *lines]
    (root / "events.csv").write_text("\n".join(table))
    options = {"videos": str(root / "videos"), "fps": FPS, "size": 16, "allow_leaks": True}
    prepared("events", root / "events.csv", root / "data", **options)


@pytest.fixture(scope="module")
def store(made):
    return open_prepared(made("recordings of noise", make_store) / "data")


def make_found(store, kind, folder):
    config = configured(*kind)
    model = with_weights(config)
    centre(model, predict(model, store, config, "train"))
    wanted = predict(model, store, config, "train")
    shares = wanted.divided(2.0).probabilities
    usual = np.quantile(shares, 0.5 + 0.5 / len(shares), axis=0, method="midpoint")
    write_run(
        model,
        config,
        Run(folder / "run"),
        temperature=2.0,
        thresholds=tuple(map(float, usual)) if config.model.multilabel else (),
        least_seconds=(0.1, 0.4, 0.2),
        gap_seconds=(0.1, 0.1, 0.3),
    )
    (folder / "wanted.pickle").write_bytes(pickle.dumps(wanted))


@pytest.fixture(scope="module", params=KINDS)
def found(request, store, made):
    """A run, and by recording what evaluation says of its frames."""
    make = partial(make_found, store, KINDS[request.param])
    folder = made(f"run that {request.param}", make)
    wanted = pickle.loads((folder / "wanted.pickle").read_bytes())  # noqa: S301
    return Run(folder / "run"), wanted


def expect_answers_of_keras(model, runtime):
    for num_real in (CLIP, 3):
        rng, mask = np.random.default_rng(num_real), np.arange(CLIP) < num_real
        frames = rng.integers(0, 256, (CLIP, 16, 16, 3), dtype=np.uint8)
        clip = {"frames": frames, "mask": mask}
        wanted = model.predict_on_batch({name: each[None] for name, each in clip.items()})[0]
        whole = runtime.clip_logits(clip)
        assert whole.shape == (CLIP, len(NAMES))
        assert runtime.num_classes == len(NAMES)
        features = runtime.features(pairs_of(clip))
        for each in (whole, runtime.logits(features, mask)):
            np.testing.assert_allclose(each[mask], wanted[mask], atol=1e-4)


def test_the_answers_of_what_is_exported_are_those_of_keras(found):
    run, _ = found
    expect_answers_of_keras(load_recognizer(run.model_file), open_runtime(run.litert_file))


def test_so_are_those_of_a_network_that_looks_both_ways(tmp_path):
    config = configured(*BOTH_WAYS)
    model = with_weights(config)
    _write("litert", model, config, None, tmp_path / "model.tflite", {})
    expect_answers_of_keras(model, open_runtime(tmp_path / "model.tflite"))


def agreement(task, keep, change):
    """What a comparison finds of made-up logits, of which those of some frames were changed."""

    def changed(found, mask):
        return np.where(keep(mask)[:, None], found, change(found))

    model = SimpleNamespace(input=["frames"], predict_on_batch=lambda inputs: inputs["frames"])
    exported = SimpleNamespace(
        path=Path(__file__),
        features=lambda pairs: pairs["frames"][:, 1],
        logits=changed,
        clip_logits=lambda clip: changed(clip["frames"], clip["mask"]),
    )
    rng, config = np.random.default_rng(0), configured(task, 1, {"kind": "gru"})
    masks = [np.arange(CLIP) < number for number in (CLIP, 2)]
    clips = [{"frames": rng.normal(size=(CLIP, 3)), "mask": mask} for mask in masks]
    return compare(model, exported, clips, config, Run(Path()), Path(), {})


def test_real_frames_are_compared_and_of_several_classes_all_of_them():
    same = agreement("frames", lambda mask: mask, lambda logits: logits + 1000)
    assert (same.num_clips, same.same_answers) == (2, 1)
    assert same.difference < 1e-5
    check(same, "litert")
    # One of 8 and one of 2 real frames get other answers.
    turned = agreement("frames", lambda mask: np.arange(len(mask)) != 1, lambda logits: -logits)
    assert turned.same_answers == pytest.approx(8 / 10)
    assert turned.difference > 0.1
    shifted = agreement("frames-multilabel", lambda mask: ~mask, lambda logits: logits * 1.001)
    assert shifted.same_answers == 1
    assert shifted.noise == pytest.approx(1e-3, rel=1e-2)  # of how far logits are from 0
    turned = agreement("frames-multilabel", lambda mask: ~mask, lambda logits: logits - 100)
    assert turned.same_answers < 1


def path_of(store, name):
    return str(store.path.parent / "videos" / name)


def test_answers_are_those_of_evaluation(found, store):
    run, wanted = found
    classifier = Classifier(run)
    bundle, seen = classifier.bundle, 0
    raw = dict(zip(wanted.names, wanted.of_each(wanted.logits), strict=True))
    recordings = {each.name: each for each in wanted.calibrated(bundle.calibration).recordings()}
    for name, length in LENGTHS.items():
        stored = stored_at(path_of(store, name), bundle.frames)
        plan = plan_as_evaluation(bundle)
        logits = np.concatenate([*frame_logits(stored, classifier.members[0], plan)])
        np.testing.assert_allclose(logits, raw[name], rtol=1e-4, atol=1e-4)
        timeline = make_timeline(classifier, path_of(store, name))
        fps = FPS / bundle.clip.stride
        judged = recordings[name]
        np.testing.assert_allclose(timeline.curve.probabilities, judged.probabilities, atol=1e-3)
        answers = np.zeros_like(judged.answers)
        for segment in timeline.segments:
            first, end = segment.start_seconds * fps, segment.end_seconds * fps
            inside = slice(round(first), int(np.ceil(end - 1e-6)))
            number = NAMES.index(segment.label)
            answers[inside, number] = True
            mean = judged.probabilities[inside, number].mean()
            assert segment.probability == pytest.approx(mean, abs=1e-3)
        np.testing.assert_array_equal(answers[:, 1:], judged.answers[:, 1:])
        assert not answers[:, 0].any(), "background is no event"
        assert timeline.info.duration_seconds == pytest.approx(length / FPS)
        seen += len(timeline.segments)
    assert seen > 3


def test_a_stream_says_which_classes_hold_at_its_newest_frame(found, store):
    classifier = Classifier(found[0])
    calibration, images = classifier.bundle.calibration, classifier.bundle.frames
    plan = dataclasses.replace(plan_windows(classifier.bundle, overlap=0), hop=1)
    path = path_of(store, "a.avi")
    with LiveVideo(path) as live:
        results = list(classify_stream(classifier, live, every=plan.stride, top=3))
    windows = list(slide(stored_at(path, images), classifier.members[0], plan))
    shares = classifier.task.probabilities([w.logits[-1] for w in windows], calibration.temperature)
    for result, row in zip(results, shares, strict=True):
        top = dict(result.prediction.top)
        assert [top[name] for name in NAMES] == pytest.approx(list(row), abs=1e-4)
    for result in results:
        top = dict(result.prediction.top)
        row = np.array([top[name] for name in NAMES])
        holds = classifier.task.holds(row, calibration.class_thresholds)
        names = [name for name, held in zip(NAMES[1:], holds[1:], strict=True) if held]
        assert result.prediction.label == ";".join(names)
        assert result.prediction.known, "that nothing holds is known"
        shown = [top[name] for name in names] or [*top.values()]
        assert result.prediction.probability == max(shown)
        assert [name for name, _ in result.prediction.holding] == names
        assert json.loads(json.dumps(result.as_json()))["prediction"]["holding"] == [
            {"label": name, "probability": top[name]} for name in names
        ]


def test_the_command_and_what_has_no_meaning(found, store, tmp_path):
    run, _ = found
    classifier, path, out = Classifier(run), path_of(store, "a.avi"), tmp_path / "a.bouts.csv"
    done = classify(path, "--run", run.folder, "--out", out, "--bins", 2)
    assert (done.code, done.errors) == (0, "")
    assert done.output == f"{format_timeline(make_timeline(classifier, path))}\n"
    assert "background" not in out.read_text()
    no_table = classify(path, "--bins", 2, "--run", run.folder).mistake
    assert "--bins is for a table of bouts. Add --out NAME.bouts.csv" in no_table
    for options, name in [
        ({"window_seconds": 1.0}, "--window"),
        ({"overlap": 0.5}, "--overlap"),
        ({"hysteresis": 0.1}, "hysteresis"),
    ]:
        with pytest.raises(ConfigError, match=f"^{name} is not for this run, which answers at"):
            make_timeline(classifier, path, **options)
    for video in (path, np.zeros((9, 16, 16, 3), np.uint8)):
        with pytest.raises(ConfigError, match=r"no one answer for a video.* make_timeline"):
            classifier.predict(video)


def make_several(folder):
    config = configured("video-multilabel", 1, {"kind": "gru"}, streams=("rgb",))
    write_run(with_weights(config), config, Run(folder), temperature=20.0)


@pytest.fixture(scope="module")
def several(made):
    """A run of task video-multilabel."""
    return Run(made("run of several", make_several))


def with_thresholds(run, *thresholds):
    classifier = Classifier(run)
    calibration = dataclasses.replace(classifier.bundle.calibration, thresholds=thresholds)
    classifier.bundle = dataclasses.replace(classifier.bundle, calibration=calibration)
    classifier.members[0].bundle = classifier.bundle
    return classifier


def test_a_video_may_show_several_classes_or_none(several, store):
    run, path = several, path_of(store, "b.avi")
    all_of_them = with_thresholds(run, 0.0, 0.0, 0.0).predict(path, top=3)
    assert (all_of_them.label, all_of_them.known) == ("background;jump;wave", True)
    assert {*all_of_them.holding} == {*all_of_them.top}
    assert all_of_them.probability == all_of_them.top[0][1]
    assert str(all_of_them).count(", ") == 2
    one = with_thresholds(run, 1.0, 0.0, 1.0).predict(path)
    assert (one.label, one.holding) == ("jump", (("jump", one.probability),))
    none = with_thresholds(run, 1.0, 1.0, 1.0).predict(path)
    assert (none.label, none.known, none.holding, str(none)) == ("", True, (), "none")


def test_a_timeline_of_windows_has_each_class_by_itself(several, store):
    run, path = several, path_of(store, "a.avi")
    timeline = make_timeline(with_thresholds(run, 0.0, 1.0, 0.0), path)
    found = [(segment.label, segment.start_seconds) for segment in timeline.segments]
    assert found == [("background", 0.0), ("wave", 0.0)]
    assert {segment.end_seconds for segment in timeline.segments} == {4.3}
    usual = tuple(map(float, np.median(timeline.curve.probabilities, axis=0)))
    changing = make_timeline(with_thresholds(run, *usual), path)
    least = 2 / 3 * changing.window_seconds - changing.curve.cell_seconds
    assert len(changing.segments) > 1
    assert all(s.end_seconds - s.start_seconds > least for s in changing.segments)
    none = make_timeline(with_thresholds(run, 1.0, 1.0, 1.0), path)
    assert format_timeline(none) == "0:00.0 to 0:04.3   none"
    with pytest.raises(ConfigError, match="^hysteresis is not for this run, whose classes may"):
        make_timeline(Classifier(run), path, hysteresis=0.2)
