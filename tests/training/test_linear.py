"""Heads on statistics of stored features, which are fitted at once."""

import dataclasses
import json

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pipeline.config import (
    NO_AUGMENT,
    BackboneConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.errors import ConfigError
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.evaluate import evaluate
from pipeline.inference.classifier import Classifier
from pipeline.inference.export import export
from pipeline.models.recognizer import load_recognizer
from pipeline.training import linear, logistic
from pipeline.training.fit import train


@pytest.fixture(scope="module")
def config(blob_config, flow_store):
    return dataclasses.replace(
        blob_config,
        data=str(flow_store.path),
        frames=flow_store.frames,
        augment=NO_AUGMENT,
        model=ModelConfig(streams=("flow",)),
        backbone=BackboneConfig(filters=(4, 8), trainable="none"),
        temporal=TemporalConfig(kind="stats"),
        train=TrainConfig(cache_features=True),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return train(config, tmp_path_factory.mktemp("linear") / "run")


def test_it_learns_at_once(run, flow_store, config):
    """Motion to the left and to the right, seen by filters of chance."""
    (epoch,) = run.history()
    assert epoch["accuracy"] > 0.9
    assert epoch["val_accuracy"] > 0.8
    model = load_recognizer(run.model_file)
    layer = model.get_layer("flow_temporal").get_layer("standardise")
    part = model.get_layer("flow_features")
    assert float(layer.share_of_data()) == 1
    assert np.ptp(model.get_layer("flow_temporal").get_layer("head").kernel) > 0
    assert part.layer.weights
    right = [
        (model.predict_on_batch(inputs).argmax(axis=1) == label.numpy()).mean()
        for inputs, label in evaluation_batches(flow_store, config, "val")
    ]
    assert np.mean(right) == pytest.approx(epoch["val_accuracy"])


def test_it_is_calibrated_evaluated_exported_and_classifies(run, blob_videos):
    assert calibrate(run).num_videos == 16
    assert evaluate(run)["video"]["top1"] > 0.8
    assert json.loads(run.metrics_file.read_text())["test"]["lengths"][0]["num_frames"] == 1
    assert export(run, num_clips=3).difference < 1e-4
    assert Classifier.load(run.folder).predict(next(blob_videos.glob("*/*.avi"))).label


def test_a_given_penalty_is_taken(config, run, tmp_path, capsys, monkeypatch):
    """On one thread: those of BLAS wait for each other for longer than they compute."""
    threads = set()

    def fit(problem, penalty):
        found = threadpool_info()
        threads.update(each["num_threads"] for each in found if each["user_api"] == "blas")
        return logistic.fit(problem, penalty)

    monkeypatch.setattr(linear, "fit", fit)
    strong = dataclasses.replace(config, temporal=TemporalConfig(kind="stats", penalty=1e6))
    weak = train(strong, tmp_path / "strong")
    assert "penalty" not in capsys.readouterr().out
    size = [
        np.abs(each.get_layer("flow_temporal").get_layer("head").kernel).max()
        for each in (load_recognizer(weak.model_file), load_recognizer(run.model_file))
    ]
    assert size[0] < size[1] / 100
    assert threads == {1}


def test_what_it_is_not_for():
    with pytest.raises(ConfigError, match="task frames takes a temporal.kind that tells frames"):
        RunConfig(
            model=ModelConfig(task="frames"), temporal=TemporalConfig(kind="stats")
        ).check_task()
    with pytest.raises(ConfigError, match=r"temporal\.penalty is for temporal\.kind stats"):
        TemporalConfig(penalty=3.0)
    with pytest.raises(ConfigError, match=r"temporal\.penalty must be above 0"):
        TemporalConfig(kind="stats", penalty=0.0)
