"""Streams that are trained apart."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import BackboneConfig, ClipConfig, FramesConfig, ModelConfig, RunConfig
from pipeline.config.model import TemporalConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.models.recognizer import build_recognizer, trained_model
from pipeline.run import Run
from pipeline.tasks.exclusive import Exclusive
from pipeline.training.apart import LossOfEach, MetricOfMean
from pipeline.training.fit import train
from pipeline.training.optimizer import compile_model

CONFIG = RunConfig(
    frames=FramesConfig(fps=10, size=16, jpeg_quality=90),
    clip=ClipConfig(num_frames=4),
    model=ModelConfig(task="video", streams=("rgb", "difference"), dropout=0),
    backbone=BackboneConfig(filters=(4,)),
    temporal=TemporalConfig(units=4, dropout=0),
)


def with_fusion(config, fusion):
    return dataclasses.replace(config, model=dataclasses.replace(config.model, fusion=fusion))


def gradient_of_rgb(fusion, task, scale):
    """Of the head of one stream, where the other one answers `scale` times as loudly."""
    keras.utils.set_random_seed(0)
    temporal = TemporalConfig(kind="tcn", units=4, layers=1, dropout=0)
    model = dataclasses.replace(CONFIG.model, task=task)
    config = dataclasses.replace(CONFIG, model=model)
    config = dataclasses.replace(config, temporal=temporal) if "frames" in task else config
    config = with_fusion(config, fusion)
    recognizer = build_recognizer(config, 3)
    loud, head = (recognizer.get_layer(f"{s}_temporal") for s in ("difference", "rgb"))
    loud.set_weights([scale * weight for weight in loud.get_weights()])
    trained = trained_model(recognizer, config)
    compile_model(trained, config, steps=1)
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(2, 4, 16, 16, 3), dtype=np.uint8)
    targets = np.eye(3, dtype=np.float32)[[[0, 1, 2, 0], [1, 1, 0, 2]]]
    if "frames" not in task:
        targets = targets[:, 0]
    with tf.GradientTape() as tape:
        answers = trained({"frames": frames, "mask": np.ones((2, 4), bool)})
        loss = trained.loss(targets, answers)
    return tape.gradient(loss, head.get_layer("head").kernel).numpy()


@pytest.mark.parametrize("task", ["video", "video-multilabel", "frames"])
def test_a_stream_learns_as_if_it_were_alone(task):
    apart = [gradient_of_rgb("apart", task, scale) for scale in (1, 30)]
    np.testing.assert_allclose(*apart, rtol=1e-4, atol=1e-7)
    assert np.abs(apart[0]).max() > 0
    together = [gradient_of_rgb("together", task, scale) for scale in (1, 30)]
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_the_loss_is_the_mean_and_the_metric_that_of_the_average():
    labels = np.eye(2, dtype=np.float32)[[0, 1]]
    logits = np.array([[[4.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 5.0]]], np.float32)  # B, S, C
    loss = Exclusive().loss()
    each = [float(loss(labels, logits[:, stream])) for stream in range(2)]
    assert float(LossOfEach(loss)(labels, logits)) == pytest.approx(np.mean(each))
    metric = MetricOfMean(Exclusive().metrics()[0])
    metric.update_state(labels, logits)
    assert metric.name == "accuracy"
    assert float(metric.result()) == 1
    metric.reset_state()
    metric.update_state(labels[::-1], logits)
    assert float(metric.result()) == 0


def test_a_run_of_streams_apart(blob_config, tmp_path):
    model = dataclasses.replace(blob_config.model, streams=("rgb", "difference"), fusion="apart")
    fit = dataclasses.replace(blob_config.train, epochs=2)
    config = dataclasses.replace(blob_config, model=model, train=fit)
    run = train(config, tmp_path / "run")
    last = Run(run.folder).history()[-1]
    assert 0 <= last["val_accuracy"] <= 1
    result = evaluate(run, "val")
    best = min(run.history(), key=lambda row: row["val_loss"])
    config = dataclasses.replace(config, clip=dataclasses.replace(config.clip, views=1))
    assert evaluate(run, "val", views=1)["video"]["top1"] == pytest.approx(
        best["val_accuracy"], abs=1e-6
    )
    assert result["num_videos"] == 16
