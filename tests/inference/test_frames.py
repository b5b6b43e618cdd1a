"""Runs that answer at every frame: what is exported, timelines, streams, and several at once."""

import dataclasses
import json
import pickle
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
from pipeline.errors import ConfigError
from pipeline.evaluation.frame_predictions import predict_frames
from pipeline.inference.agreement import check, compare
from pipeline.inference.bundle import Bundle, write_bundle
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredVideo, pairs_of
from pipeline.inference.export import _write
from pipeline.inference.frame_answers import frame_logits
from pipeline.inference.runtimes import open_runtime
from pipeline.inference.stream import classify_stream
from pipeline.inference.timeline import make_timeline
from pipeline.inference.window_plan import plan_as_evaluation, plan_windows
from pipeline.inference.windows import slide
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.prepare.prepared import open_store
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.task import task_of
from pipeline.video import LiveVideo, write_video
from tests.conftest import prepared
from tests.inference.commands import classify
from tests.runs import draw_weights

FPS, LENGTH = 10, 8
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
        clip=ClipConfig(num_frames=LENGTH, sampling="dense", stride=stride),
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
    mean = np.concatenate([each.logits for each in predictions]).mean(axis=0)
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


def stored_of(path, frames):
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
    return open_store(made("recordings of noise", make_store) / "data")


def make_found(store, kind, folder):
    config = configured(*kind)
    model = with_weights(config)
    centre(model, predict_frames(model, store, config, "train"))
    wanted = {each.name: each for each in predict_frames(model, store, config, "train")}
    logits = np.concatenate([each.logits for each in wanted.values()])
    shares = task_of(config.model).probabilities(logits, 2.0)
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


def clip_of(num_real, size=16):
    rng = np.random.default_rng(num_real)
    frames = rng.integers(0, 256, (LENGTH, size, size, 3), dtype=np.uint8)
    return {"frames": frames, "mask": np.arange(LENGTH) < num_real}


def expect_answers_of_keras(model, runtime):
    for num_real in (LENGTH, 3):
        clip = clip_of(num_real)
        mask = clip["mask"]
        wanted = model.predict_on_batch({name: each[None] for name, each in clip.items()})[0]
        whole = runtime.clip_logits(clip)
        assert whole.shape == (LENGTH, len(NAMES))
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
    masks = [np.arange(LENGTH) < number for number in (LENGTH, 2)]
    clips = [{"frames": rng.normal(size=(LENGTH, 3)), "mask": mask} for mask in masks]
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
    for name, length in LENGTHS.items():
        stored = stored_of(path_of(store, name), bundle.frames)
        plan = plan_as_evaluation(bundle)
        logits = np.concatenate([*frame_logits(stored, classifier.members[0], plan)])
        np.testing.assert_allclose(logits, wanted[name].logits, rtol=1e-4, atol=1e-4)
        timeline = make_timeline(classifier, path_of(store, name))
        fps = FPS / bundle.clip.stride
        judged = wanted[name].judged_by(classifier.task, bundle.calibration, fps)
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


def stream(classifier, path, **options):
    with LiveVideo(path) as live:
        return list(classify_stream(classifier, live, **options))


def test_a_stream_says_which_classes_hold_at_its_newest_frame(found, store):
    classifier = Classifier(found[0])
    calibration, images = classifier.bundle.calibration, classifier.bundle.frames
    plan = dataclasses.replace(plan_windows(classifier.bundle, overlap=0), hop=1)
    results = stream(classifier, path_of(store, "a.avi"), every=plan.stride, top=3)
    windows = list(slide(stored_of(path_of(store, "a.avi"), images), classifier.members[0], plan))
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
