"""Training on features that are computed once, on their statistics, and on smaller frames."""

import csv
import dataclasses
import json
import shutil
import threading
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from pipeline.config import NO_AUGMENT, RunConfig, TemporalConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.clip_batches import evaluation_batches, training_batches
from pipeline.dataset.stored_features import FOLDER, open_features
from pipeline.dataset.videos import open_data, resolve
from pipeline.errors import ConfigError
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.predict import predict
from pipeline.evaluation.results import as_json
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import readings_of
from pipeline.inference.explain import explain
from pipeline.inference.export import export
from pipeline.inference.timeline import make_timeline
from pipeline.models.recognizer import build_recognizer, load_recognizer, trained_model
from pipeline.prepare.preparation import prepare
from pipeline.run import Run
from pipeline.training import features as features_module
from pipeline.training import linear
from pipeline.training.features import cached_features, on_stored_features, temporal_part
from pipeline.training.fit import train
from pipeline.training.linear import PENALTIES, Problem, choose_penalty, fit, shortened
from pipeline.training.run_folder import open_run
from tests.runs import changed, drawn_run, expect_same

FROZEN = {"backbone.trainable": "none", "model.streams": ("rgb",)}
LEFT_IS_RIGHT = (("left", "right"),)


@pytest.fixture(scope="module")
def data(tiny_store, tmp_path_factory):
    """A copy of the data set, in which features may be stored."""
    return shutil.copytree(tiny_store.path, tmp_path_factory.mktemp("features") / "store")


@pytest.fixture(scope="module")
def config(tiny_config, data):
    config = dataclasses.replace(tiny_config, augment=NO_AUGMENT)
    return resolve(changed(config, {**FROZEN, "data": str(data)}))[1]


def cached(config):
    return changed(config, {"train.cache_features": True})


def test_it_is_the_same_training(config, tmp_path, capsys):
    """With mirrored clips; and features are those of all splits of the same videos."""
    values = {"augment.flip": 0.5, "model.dropout": 0.2, "temporal.dropout": 0.2}
    config = changed(config, values)
    through = train(config, tmp_path / "through").run
    once = train(cached(config), tmp_path / "once").run
    expect_same(once, through, rtol=1e-4, atol=1e-4)
    assert capsys.readouterr().out.count("features of 96 frames") == 1
    features_of(changed(cached(config), {"split.folds": 4}), seed=config.seed)
    assert "features of" not in capsys.readouterr().out


def features_of(config, seed=0):
    keras.utils.set_random_seed(seed)
    model = build_recognizer(config, 2)
    return model, cached_features(model, *resolve(config))


@pytest.mark.parametrize(
    ("most_frames", "other_way", "flip"), [(1, "_by_tensorflow", 1.0), (10**9, "_by_litert", 0.0)]
)
def test_clips_that_are_mirrored_or_backwards_have_the_features_of_their_frames(
    config, data, most_frames, other_way, flip, monkeypatch
):
    """The backbone computes in one of two ways, many frames by LiteRT, and in no other."""
    shutil.rmtree(data / FOLDER, ignore_errors=True)
    monkeypatch.setattr(features_module, "_MANY_FRAMES", most_frames)
    monkeypatch.delattr(features_module, other_way)
    values = {"model.streams": ("rgb", "flow"), "train.batch_size": 8, "augment.flip": flip}
    turned = {"augment.reverse": 0.5, "augment.reverse_labels": LEFT_IS_RIGHT}
    config = changed(config, {**values, **turned})
    model, features = features_of(config)
    store, part = open_data(data), temporal_part(model, config)
    ((clips, labels), *_) = training_batches(store, config).take(1)
    ((taken, same), *_) = training_batches(features, config).take(1)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(part(taken), model(clips), atol=1e-5)
    assert [file.shape[1] for file in features.features.values()] == [1 + flip, 2 + 2 * flip]


def test_windows_of_recordings_have_the_features_of_their_frames(
    recording_config, recording_store, tmp_path
):
    """Those that training cuts at random, mirrored and at another speed, and of evaluation."""
    values = {
        **FROZEN,
        "data": str(shutil.copytree(recording_store.path, tmp_path / "store")),
        "clip.num_frames": 8,
        "clip.shrink": 2,
        "temporal.units": 4,
        "temporal.stages": 2,
        "augment.flip": 0.5,
        "augment.flip_labels": LEFT_IS_RIGHT,
        "augment.speed.strength": 0.4,
        "train.cache_features": True,
    }
    plain = dataclasses.replace(recording_config, augment=NO_AUGMENT)
    store, config = resolve(changed(plain, values))
    model, features = features_of(config)
    part, whole = temporal_part(model, config), trained_model(model, config)
    for batches in (training_batches, partial(evaluation_batches, split="val")):
        ((clips, labels), *_) = batches(store, config).take(1)
        ((taken, same), *_) = batches(features, config).take(1)
        np.testing.assert_array_equal(labels, same)
        np.testing.assert_array_equal(taken["mask"], clips["mask"])
        np.testing.assert_allclose(part(taken), whole(clips), atol=1e-5)
    part, features = on_stored_features(model, store, config)
    assert part is not model
    found, wanted = (predict(*each, config, "test") for each in ((part, features), (model, store)))
    np.testing.assert_allclose(found.logits, wanted.logits, atol=1e-5)


def evaluated(run):
    """All numbers of calibration and evaluation, with those of each video, in one row."""
    found = keras.tree.flatten([calibrate(open_run(run)).as_json(), as_json(evaluate(run))])
    with (run.report / "test_predictions.csv").open(newline="") as file:
        logits = [float(row["max_logit"]) for row in csv.DictReader(file)]
    return [*(each for each in found if isinstance(each, int | float)), *logits]


def test_evaluation_on_stored_features_is_the_same(config, data, tmp_path):
    """The order test shows flow backwards, of which no features are stored without `reverse`."""
    values = {
        "model.streams": ("rgb", "flow"),
        "augment.flip": 0.5,
        "evaluate.order_pairs": LEFT_IS_RIGHT,
    }
    run = drawn_run(changed(cached(config), values), tmp_path / "run", exported=False)
    model, store = load_recognizer(run.model_file), open_data(data)
    cached_features(model, store, run.config())
    assert on_stored_features(model, store, run.config())[0] is not model
    found = evaluated(run)
    shutil.rmtree(data / FOLDER)
    np.testing.assert_allclose(evaluated(run), found, atol=1e-5)
    assert on_stored_features(model, store, run.config()) == (model, store)


def test_features_are_of_the_frames_whatever_is_said_of_them(config, tiny_store, tmp_path, capsys):
    """A group is in training and in the test; its test videos are not trained on."""
    table = tmp_path / "table.csv"
    content = (tiny_store.path.parent / "table.csv").read_text()
    table.write_text(content.replace("g03,train", "g06,train"))
    values = {"fps": 5, "size": 16, "workers": 1, "allow_leaks": True}
    out = str(tmp_path / "store")
    store = prepare(PrepareConfig(source="csv", path=str(table), out=out, **values)).store
    groups = [{r.group for r in store.manifest.rows if r.split == s} for s in ("train", "test")]
    assert groups[0] & groups[1]
    _, features = features_of(changed(config, {"data": out}))
    assert "features of 96 frames" in capsys.readouterr().out
    (file,) = features.features.values()
    rows = {file.of(clip, np.array([0])).tobytes() for clip in store.clips}
    assert len(rows) == len(store.clips)
    table.write_text(content)
    prepare(PrepareConfig(source="csv", path=str(table), out=out, **values))
    features_of(changed(config, {"data": out}))
    assert "features of" not in capsys.readouterr().out, "other splits have the same"


def test_other_weights_have_other_features_and_half_a_file_is_none(config, tmp_path):
    _, first = features_of(config, seed=3)
    _, second = features_of(config, seed=4)
    _, again = features_of(config, seed=3)
    path = first.features["rgb_features"].path
    assert path != second.features["rgb_features"].path
    assert again.features == first.features
    path.write_bytes(path.read_bytes()[:-4])
    assert open_features(path) is None
    _, mended = features_of(config, seed=3)
    assert mended.features == first.features
    assert open_features(path)
    assert not [file for file in path.parent.iterdir() if file.suffix not in (".f32", ".json")]
    # Nor is one of which nothing is known.
    (tmp_path / "x.f32").write_bytes(bytes(4))
    for content in ("{", "[]", "{}", '{"shape": [1], "spans": [[1]]}'):
        (tmp_path / "x.json").write_text(content)
        assert open_features(tmp_path / "x.f32") is None, content


def test_what_another_process_is_computing_is_waited_for(config, hold, said_of_locks, capsys):
    model, features = features_of(config, seed=5)
    path = features.features["rgb_features"].path
    aside = path.replace(path.with_name("aside"))
    process, found = hold(path), []
    capsys.readouterr()

    def wait():
        found.append(cached_features(model, open_data(Path(config.data)), config))

    thread = threading.Thread(target=wait)
    thread.start()
    said = said_of_locks.get(timeout=60)
    assert said == f"another process is computing {path}: waiting for it"
    aside.replace(path)  # as the other does at its end
    process.communicate()
    thread.join()
    assert [each.files for each in found] == [features.files]
    assert "features of" not in capsys.readouterr().out


# Heads on statistics of stored features are fitted at once, by logistic regression.


def fit_heads(config, store, folder):
    data = shutil.copytree(store.path, folder / "store")
    values = {
        "data": str(data),
        "model.streams": ("flow",),
        "backbone.filters": (4, 8),
        "backbone.trainable": "none",
        "temporal.kind": "stats",
        "train.cache_features": True,
    }
    config = dataclasses.replace(config, augment=NO_AUGMENT)
    train(changed(config, values), folder / "run")


@pytest.fixture
def run(blob_config, flow_store, made, tmp_path):
    """A copy of one; beside its data set features are stored."""
    folder = made("linear", lambda folder: fit_heads(blob_config, flow_store, folder))
    return Run(shutil.copytree(folder / "run", tmp_path / "run"))


def test_it_learns_at_once_and_classifies(run, flow_store, blob_videos):
    """Motion to the left and to the right, seen by filters of chance."""
    (epoch,) = run.history()
    assert epoch["accuracy"] > 0.9
    assert epoch["val_accuracy"] > 0.8
    model = load_recognizer(run.model_file)
    layer = model.get_layer("flow_temporal").get_layer("standardise")
    assert float(layer.share_of_data()) == 1
    assert np.ptp(model.get_layer("flow_temporal").get_layer("head").kernel) > 0
    assert model.get_layer("flow_features").layer.weights
    right = [
        (model.predict_on_batch(inputs).argmax(axis=1) == label.numpy()).mean()
        for inputs, label in evaluation_batches(flow_store, run.config(), "val")
    ]
    assert np.mean(right) == pytest.approx(epoch["val_accuracy"])
    assert calibrate(open_run(run)).num_videos == 16
    assert evaluate(run).video.top1 > 0.8
    assert json.loads(run.metrics_file.read_text())["test"]["lengths"][0]["num_frames"] == 1
    assert export(open_run(run), num_clips=3).difference < 1e-4
    assert Classifier.load(run.folder).predict(next(blob_videos.glob("*/*.avi"))).label


def test_what_is_kept_is_what_was_fitted_also_where_weights_are_averaged(run, tmp_path):
    opened = train(changed(run.config(), {"train.ema_momentum": 0.9}), tmp_path / "averaged")
    kept, wanted = (
        model.get_layer("flow_temporal").get_layer("head").get_weights()[0]
        for model in (opened.model, load_recognizer(run.model_file))
    )
    np.testing.assert_allclose(kept, wanted, rtol=1e-3, atol=1e-5)


def test_a_given_penalty_is_taken(run, tmp_path, capsys, monkeypatch):
    """On one thread: those of BLAS wait for each other for longer than they compute."""
    threads = set()

    def fit(problem, penalty, fits=linear.fit):
        found = threadpool_info()
        threads.update(each["num_threads"] for each in found if each["user_api"] == "blas")
        return fits(problem, penalty)

    monkeypatch.setattr(linear, "fit", fit)
    weak = train(changed(run.config(), {"temporal.penalty": 1e6}), tmp_path / "strong").run
    assert "penalty" not in capsys.readouterr().out
    size = [
        np.abs(each.get_layer("flow_temporal").get_layer("head").kernel).max()
        for each in (load_recognizer(weak.model_file), load_recognizer(run.model_file))
    ]
    assert size[0] < size[1] / 100
    assert threads == {1}


def test_what_it_is_not_for():
    frames = changed(RunConfig(), {"model.task": "frames", "temporal.kind": "stats"})
    with pytest.raises(ConfigError, match="task frames takes a temporal.kind that tells frames"):
        frames.check_task()
    with pytest.raises(ConfigError, match=r"temporal\.penalty is for temporal\.kind stats"):
        TemporalConfig(penalty=3.0)
    with pytest.raises(ConfigError, match=r"temporal\.penalty must be above 0"):
        TemporalConfig(kind="stats", penalty=0.0)


rng = np.random.default_rng(0)
LABELS = np.arange(60) % 3
INPUTS = rng.normal(size=(60, 8)) + np.eye(3, 8)[LABELS]
PROBLEM = Problem(INPUTS, np.eye(3)[LABELS], np.ones(60), np.arange(60).astype(str), True)


def test_it_is_logistic_regression_whose_weights_count_rows():
    """Of several labels each is one."""
    theirs = LogisticRegression(C=1 / 10, tol=1e-8, max_iter=1000)
    kernel, bias = fit(PROBLEM, 10.0)
    wanted = theirs.fit(INPUTS, LABELS)
    np.testing.assert_allclose(kernel.T, wanted.coef_, atol=1e-3)
    np.testing.assert_allclose(bias - bias.mean(), wanted.intercept_, atol=1e-3)
    kernel, bias = fit(dataclasses.replace(PROBLEM, exclusive=False), 10.0)
    wanted = theirs.fit(INPUTS, LABELS == 1)
    np.testing.assert_allclose(kernel[:, 1], wanted.coef_[0], atol=1e-3)
    np.testing.assert_allclose(bias[1], wanted.intercept_[0], atol=1e-3)
    twice = fit(PROBLEM.part(np.r_[:60, :20]), 10.0)
    weighted = fit(dataclasses.replace(PROBLEM, weights=np.r_[np.full(20, 2.0), np.ones(40)]), 10.0)
    np.testing.assert_allclose(twice[0], weighted[0], atol=1e-4)
    # Rows of fewer numbers give the same head.
    wide = np.hstack([INPUTS, rng.normal(size=(60, 5000)), np.zeros((60, 2))]).astype(np.float32)
    problem = dataclasses.replace(PROBLEM, inputs=wide.astype(float))
    short, back = shortened(wide)
    assert short.shape[1] <= 60
    kernel, bias = fit(dataclasses.replace(problem, inputs=short), 10.0)
    wanted, wanted_bias = fit(problem, 10.0)
    np.testing.assert_allclose(wide.T @ (back @ kernel), wanted, atol=1e-3)
    np.testing.assert_allclose(bias, wanted_bias, atol=1e-3)


def test_the_penalty_is_chosen_on_groups_that_were_not_seen():
    """Rows of a group are alike, down to a mark that says nothing of others."""
    groups = np.arange(60) // 3 % 20
    noise = rng.normal(size=(20, 30))[groups] * 3
    labels = rng.integers(3, size=20)[groups]
    unlearnable = Problem(noise, np.eye(3)[labels], np.ones(60), groups.astype(str), True)
    assert choose_penalty(unlearnable) >= 100
    known = dataclasses.replace(unlearnable, groups=np.arange(60).astype(str))
    assert choose_penalty(known) < 10
    assert choose_penalty(dataclasses.replace(PROBLEM, groups=np.full(60, "a"))) in PENALTIES


# Frames are read at a part of their size.


@pytest.fixture(scope="module")
def shrunk(blob_config):
    return changed(blob_config, {"clip.shrink": 2, "backbone.filters": (4,), "temporal.units": 4})


def test_from_training_to_classifying(shrunk, hasty_run, blob_videos, tmp_path):
    run = drawn_run(shrunk, tmp_path / "run")
    evaluate(run)
    with (run.report / "test_predictions.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    classifier = Classifier(run)
    for line in lines[:6]:
        found = dict(classifier.predict(blob_videos / line["video"]).top)
        assert found["left"] == pytest.approx(float(line["left"]), abs=2e-3)
    video = blob_videos / "left" / "g00 0.avi"
    assert make_timeline(classifier, video, window_seconds=0.8).segments
    explanation = explain(run, video)
    (strip,) = explanation.strips
    assert strip.frames.shape[1:] == (*strip.heat.shape[1:], 3) == (16, 16, 3)
    both = Classifier([run, hasty_run])
    (reading,) = readings_of(both.bundles)
    assert [frames.size for frames in reading.frames] == [32], "a frame is stored once for both"
    assert both.predict(video).known


def test_frames_are_means_of_what_is_stored(shrunk, blob_config):
    small, large = (
        next(iter(evaluation_batches(resolve(each)[0], each, "val")))[0]["frames"].numpy()
        for each in (resolve(shrunk)[1], resolve(blob_config)[1])
    )
    assert small.shape[2:] == (16, 16, 3)
    halves = large.reshape(*large.shape[:2], 16, 2, 16, 2, 3).mean((3, 5))
    assert np.abs(halves - small).mean() < 3
    for shrink in (3, 8):
        with pytest.raises(ConfigError, match="clip.shrink"):
            resolve(changed(shrunk, {"clip.shrink": shrink}))
