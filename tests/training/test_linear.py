"""Heads on statistics of stored features, which are fitted at once, by logistic regression."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from pipeline.config import NO_AUGMENT, RunConfig, TemporalConfig
from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.errors import ConfigError
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.classifier import Classifier
from pipeline.inference.export import export
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.training import linear, logistic
from pipeline.training.fit import train
from pipeline.training.logistic import PENALTIES, Problem, choose_penalty, fit, shortened
from tests.runs import changed


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

    assert calibrate(run).num_videos == 16
    assert evaluate(run)["video"]["top1"] > 0.8
    assert json.loads(run.metrics_file.read_text())["test"]["lengths"][0]["num_frames"] == 1
    assert export(run, num_clips=3).difference < 1e-4
    assert Classifier.load(run.folder).predict(next(blob_videos.glob("*/*.avi"))).label


def test_a_given_penalty_is_taken(run, tmp_path, capsys, monkeypatch):
    """On one thread: those of BLAS wait for each other for longer than they compute."""
    threads = set()

    def fit(problem, penalty):
        found = threadpool_info()
        threads.update(each["num_threads"] for each in found if each["user_api"] == "blas")
        return logistic.fit(problem, penalty)

    monkeypatch.setattr(linear, "fit", fit)
    weak = train(changed(run.config(), {"temporal.penalty": 1e6}), tmp_path / "strong")
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


# Logistic regression: the weights of scikit-learn, and a penalty that folds over groups choose.

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


def test_rows_of_fewer_numbers_give_the_same_head():
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
