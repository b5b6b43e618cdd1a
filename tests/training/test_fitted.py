"""What of a network is fitted: streams apart, and all stages of a temporal part."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.evaluation.evaluate import evaluate
from pipeline.models.recognizer import (
    build_recognizer,
    float32_twin,
    load_recognizer,
    trained_model,
)
from pipeline.tasks.exclusive import Exclusive
from pipeline.training.alarms import Alarms
from pipeline.training.apart import LossOfEach, MetricOfMean
from pipeline.training.averaging import WeightAverage
from pipeline.training.callbacks import KeepBest
from pipeline.training.checkpoint import Checkpoint, Progress, restore
from pipeline.training.features import temporal_part
from pipeline.training.fit import train
from pipeline.training.optimizer import compile_model
from tests.runs import changed

CLASSES = 3
STAGES = RunConfig(
    frames=FramesConfig(size=16),
    clip=ClipConfig(num_frames=8, sampling="dense"),
    model=ModelConfig(task="frames", streams=("rgb",)),
    backbone=BackboneConfig(filters=(4,), learning_rate_factor=0.5),
    temporal=TemporalConfig(kind="tcn", units=5, layers=1, stages=2),
    train=TrainConfig(epochs=2, learning_rate=1e-2, warmup=0, transition_penalty=0.7),
)


def batch(length):
    """Two clips, the second of which has unknown frames at its end."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, length, 16, 16, 3), dtype=np.uint8)
    mask = np.arange(length) < np.array([[length], [length - 3]])
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=(2, length))]
    return {"frames": frames, "mask": mask}, np.where(mask[..., None], targets, np.float32(-1))


# Streams.


def gradient_of_rgb(fusion, task, scale):
    """Of the head of one stream, where the other one answers `scale` times as loudly."""
    keras.utils.set_random_seed(0)
    config = RunConfig(
        frames=FramesConfig(size=16),
        clip=ClipConfig(num_frames=4),
        model=ModelConfig(task=task, streams=("rgb", "difference"), dropout=0, fusion=fusion),
        backbone=BackboneConfig(filters=(4,)),
        temporal=TemporalConfig(
            kind="tcn" if task == "frames" else "mean", units=4, layers=1, dropout=0
        ),
    )
    recognizer = build_recognizer(config, CLASSES)
    loud, head = (recognizer.get_layer(f"{s}_temporal") for s in ("difference", "rgb"))
    loud.set_weights([scale * weight for weight in loud.get_weights()])
    trained = trained_model(recognizer, config)
    compile_model(trained, config, steps=1)
    inputs, targets = batch(4)
    with tf.GradientTape() as tape:
        loss = trained.loss(targets if task == "frames" else targets[:, 0], trained(inputs))
    return tape.gradient(loss, head.get_layer("head").kernel).numpy()


@pytest.mark.parametrize("task", ["video", "frames"])
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


def test_evaluation_finds_what_a_training_of_streams_apart_found(tiny_config, tmp_path):
    streams = {"model.streams": ("rgb", "difference"), "model.fusion": "apart"}
    run = train(changed(tiny_config, streams), tmp_path / "run")
    best = min(run.history(), key=lambda row: row["val_loss"])
    result = evaluate(run, "val")
    assert result["video"]["top1"] == pytest.approx(best["val_accuracy"], abs=1e-6)
    assert result["num_videos"] == 4


# Stages.


def begun(config, path, seed):
    """A recogniser, and the progress of its training."""
    keras.utils.set_random_seed(seed)
    recognizer = build_recognizer(config, CLASSES)
    model = trained_model(recognizer, config)
    compile_model(model, config, steps=1)
    twin = functools.partial(float32_twin, recognizer, config)
    average = WeightAverage(model, 0.9)
    best = KeepBest(path, recognizer, twin, average=average)
    return recognizer, Progress(model, best, Alarms(config.train, 0.5), average)


def test_all_stages_are_trained_remembered_and_kept(tmp_path):
    half = changed(STAGES, {"train.precision": "mixed_float16"})
    recognizer, progress = begun(half, tmp_path / "model.keras", seed=0)
    before = [each.numpy() for each in recognizer.trainable_variables]
    inputs, targets = batch(8)
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz", progress)
    callbacks = [progress.average, progress.best, checkpoint]
    history = progress.model.fit(
        inputs, targets, batch_size=2, epochs=2, verbose=0, callbacks=callbacks
    ).history
    assert {"accuracy", "loss", "top_class_share"} == set(history)
    still = [
        each.path
        for each, old in zip(recognizer.trainable_variables, before, strict=True)
        if np.array_equal(each.numpy(), old)
    ]
    assert not still

    other, again = begun(half, tmp_path / "other.keras", seed=1)
    assert restore(tmp_path / "checkpoint.npz", again) == (2, False)
    assert "dynamic_scale" in {each.name for each in again.variables()}, "that of the loss"
    for mine, theirs in zip(again.variables(), progress.variables(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(other.get_weights(), recognizer.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)

    kept = load_recognizer(tmp_path / "model.keras", STAGES, CLASSES)
    with progress.average.applied():
        wanted = float32_twin(recognizer, STAGES)(inputs)
    np.testing.assert_allclose(kept(inputs), wanted, atol=1e-5)


def test_what_is_trained_on_features_is_what_is_trained_on_frames():
    """With the loss and the learning rates of the run."""
    config = changed(STAGES, {"model.streams": ("rgb", "flow")})
    recognizer = build_recognizer(config, CLASSES)
    inputs, _ = batch(8)
    inputs["flow"] = inputs["frames"][::-1]
    names = ("rgb_features", "flow_features")
    features = keras.Model(
        recognizer.input, {name: recognizer.get_layer(name).output for name in names}
    )
    part, model = temporal_part(recognizer, config), trained_model(recognizer, config)
    found = part({**features(inputs), "mask": keras.ops.convert_to_tensor(inputs["mask"])})
    assert found.shape == (2, 2, 8, CLASSES)
    np.testing.assert_allclose(found, model(inputs), atol=1e-6)
    np.testing.assert_allclose(found[:, -1], recognizer(inputs), atol=1e-6)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-3
    assert {id(each) for each in part.trainable_variables} < {
        id(each) for each in recognizer.trainable_variables
    }

    compile_model(model, config, steps=1)
    assert model.loss.transition_penalty == 0.7
    backbones = [recognizer.get_layer(name).trainable_variables for name in names]
    factors = {each.path: 0.5 for backbone in backbones for each in backbone}
    assert model.optimizer.factors == factors
