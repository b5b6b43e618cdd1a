"""Of several stages all are trained, remembered and kept."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from pipeline.config import (
    BackboneConfig,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.models.recognizer import (
    build_recognizer,
    float32_twin,
    load_recognizer,
    trained_model,
)
from pipeline.training.alarms import Alarms
from pipeline.training.averaging import WeightAverage
from pipeline.training.callbacks import KeepBest
from pipeline.training.checkpoint import Checkpoint, Progress, restore
from pipeline.training.features import temporal_part
from pipeline.training.optimizer import compile_model

CLASSES = 3
CONFIG = RunConfig(
    frames=FramesConfig(size=16),
    clip=ClipConfig(num_frames=8, sampling="dense"),
    model=ModelConfig(task="frames", streams=("rgb",)),
    backbone=BackboneConfig(filters=(4,), learning_rate_factor=0.5),
    temporal=TemporalConfig(kind="tcn", units=5, layers=2, stages=2),
    train=TrainConfig(epochs=2, learning_rate=1e-2, warmup=0, precision="mixed_bfloat16"),
)


def batch():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 8, 16, 16, 3), dtype=np.uint8)
    mask = np.arange(8) < np.array([[8], [5]])
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=(2, 8))]
    return {"frames": frames, "mask": mask}, np.where(mask[..., None], targets, np.float32(-1))


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


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_all_stages_are_trained_remembered_and_kept(tmp_path, precision):
    half = dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, precision=precision))
    recognizer, progress = begun(half, tmp_path / "model.keras", seed=0)
    before = [each.numpy() for each in recognizer.trainable_variables]
    inputs, targets = batch()
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
    for mine, theirs in zip(again.variables(), progress.variables(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(other.get_weights(), recognizer.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)

    kept = load_recognizer(tmp_path / "model.keras", CONFIG, CLASSES)
    with progress.average.applied():
        wanted = float32_twin(recognizer, CONFIG)(inputs)
    np.testing.assert_allclose(kept(inputs), wanted, atol=1e-5)


def test_what_is_trained_on_features_is_what_is_trained_on_frames():
    config = dataclasses.replace(CONFIG, model=ModelConfig(task="frames", streams=("rgb", "flow")))
    recognizer = build_recognizer(config, CLASSES)
    inputs, _ = batch()
    inputs["flow"] = inputs["frames"][::-1]
    names = ("rgb_features", "flow_features")
    features = keras.Model(
        recognizer.input, {name: recognizer.get_layer(name).output for name in names}
    )
    part = temporal_part(recognizer, config)
    found = part({**features(inputs), "mask": keras.ops.convert_to_tensor(inputs["mask"])})
    assert found.shape == (2, 2, 8, CLASSES)
    np.testing.assert_allclose(found, trained_model(recognizer, config)(inputs), atol=1e-6)
    np.testing.assert_allclose(found[:, -1], recognizer(inputs), atol=1e-6)
    assert {id(each) for each in part.trainable_variables} < {
        id(each) for each in recognizer.trainable_variables
    }


def test_the_loss_and_the_learning_rates_are_those_of_the_run():
    config = dataclasses.replace(
        CONFIG, train=dataclasses.replace(CONFIG.train, transition_penalty=0.7)
    )
    recognizer = build_recognizer(config, CLASSES)
    model = trained_model(recognizer, config)
    compile_model(model, config, steps=1)
    assert model.loss.transition_penalty == 0.7
    backbone = recognizer.get_layer("rgb_features").trainable_variables
    assert model.optimizer.factors == {each.path: 0.5 for each in backbone}
