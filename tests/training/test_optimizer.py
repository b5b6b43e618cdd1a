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
from pipeline.models.recognizer import build_recognizer, trained_model
from pipeline.training.cluster import Cluster
from pipeline.training.ctrl_c import CtrlC
from pipeline.training.optimizer import AdamW, compile_model
from pipeline.training.trainer import Trainer
from tests.runs import changed


def stepped(factors, **options):
    variables = [keras.Variable([1.0, 2.0], name=name) for name in ("fast", "slow", "bias")]
    optimizer = AdamW(factors=factors, learning_rate=0.1, **options)
    optimizer.build(variables)
    for _ in range(3):
        optimizer.apply([np.array([0.5, -1.0], np.float32)] * 3, variables)
    return [variable.numpy() - [1.0, 2.0] for variable in variables]


def test_without_factors_it_is_the_optimizer_of_keras():
    variable = keras.Variable([1.0, 2.0])
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.3)
    optimizer.build([variable])
    for _ in range(3):
        optimizer.apply([np.array([0.5, -1.0], np.float32)], [variable])
    moved = variable.numpy() - [1.0, 2.0]
    *decayed, bias = stepped({}, decay=0.3)
    for ours in decayed:
        np.testing.assert_allclose(ours, moved, rtol=1e-6)
    assert np.abs(bias - moved).max() > 0.05


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_a_factor_scales_the_steps_and_the_decay_of_its_variable(decay):
    fast, slow, _ = stepped({"slow": 0.1}, decay=decay)
    np.testing.assert_allclose(slow, fast / 10, rtol=0.01)


def model(**train):
    inputs = keras.layers.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    config = changed(RunConfig(), {f"train.{name}": value for name, value in train.items()})
    compile_model(model, config, steps=10)
    return model


def test_a_step_is_traced_once_and_gradients_are_clipped_by_their_common_norm():
    trained, traced = model(), []

    def step(data, train_step=trained.train_step):
        traced.append(data)
        return train_step(data)

    trained.train_step = step
    trained.fit(np.ones((6, 3), np.float32), np.ones((6, 2)), batch_size=2, verbose=0)
    assert len(traced) == 1
    assert trained.optimizer.global_clipnorm is None
    assert model(clip_norm=1.5).optimizer.global_clipnorm == 1.5


def test_accumulated_steps_equal_a_large_batch():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(8, 3)).astype(np.float32), np.eye(2)[rng.integers(2, size=8)]
    options = {"learning_rate": 0.1, "warmup": 0, "epochs": 1000}
    large, small = model(**options), model(**options, accumulate=4)
    small.set_weights(large.get_weights())
    before = large.get_weights()[0]
    large.train_on_batch(inputs, targets)
    for start in range(0, 6, 2):
        small.train_on_batch(inputs[start : start + 2], targets[start : start + 2])
    np.testing.assert_array_equal(small.get_weights()[0], before)
    small.train_on_batch(inputs[6:], targets[6:])
    assert np.abs(large.get_weights()[0] - before).max() > 0.05
    np.testing.assert_allclose(small.get_weights()[0], large.get_weights()[0], rtol=1e-4)


WHOLE = {
    "recordings": {"model.task": "frames", "temporal.kind": "tcn", "temporal.stages": 2},
    "apart": {
        "temporal.kind": "mean",
        "model.streams": ("rgb", "difference"),
        "model.fusion": "apart",
    },
}


def begun(kind, precision):
    """A whole network, and what does a step of its training."""
    config = RunConfig(
        frames=FramesConfig(size=16),
        clip=ClipConfig(num_frames=4),
        model=ModelConfig(dropout=0),
        temporal=TemporalConfig(units=4, layers=1, dropout=0),
        backbone=BackboneConfig(filters=(4,)),
        train=TrainConfig(precision=precision, clip_norm=0.5),
    )
    config = changed(config, WHOLE[kind])
    keras.utils.set_random_seed(0)
    fitted = trained_model(build_recognizer(config, 3), config)
    metrics = compile_model(fitted, config, steps=10)
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(2, 4, 16, 16, 3), dtype=np.uint8)
    targets = np.eye(3, dtype=np.float32)[[[0, 1, 2, 0], [1, 1, 0, 2]]]
    clips = {"frames": frames, "mask": np.ones((2, 4), bool)}
    known = targets if config.model.per_frame else targets[:, 0]
    batches = tf.data.Dataset.from_tensors((clips, known))
    trainer = Trainer(fitted, metrics, Cluster())
    epoch = {"epochs": range(1), "steps": 1, "callbacks": [], "ctrl_c": CtrlC()}
    return fitted, lambda: trainer.fit(lambda **_: batches, None, **epoch)


def moments(fitted):
    """Those of its first gradients."""
    found = [each for each in fitted.optimizer.variables if "momentum" in each.path]
    return np.concatenate([each.numpy().ravel() for each in found])


@pytest.mark.parametrize("kind", WHOLE)
def test_in_float16_the_loss_is_scaled_and_what_is_learned_is_not(kind):
    whole, step = begun(kind, "float32")
    step()
    expected = moments(whole)
    assert np.linalg.norm(expected) > 0

    fitted, step = begun(kind, "mixed_float16")
    assert isinstance(fitted.optimizer, keras.optimizers.LossScaleOptimizer)
    scale, too_high = fitted.optimizer.dynamic_scale, 2.0**60
    before, usual = [each.numpy() for each in fitted.trainable_variables], float(scale)
    scale.assign(too_high)
    step()
    assert float(scale) == too_high / 2
    for old, new in zip(before, fitted.trainable_variables, strict=True):
        np.testing.assert_array_equal(new, old)
    scale.assign(usual)
    step()
    assert np.linalg.norm(moments(fitted) - expected) < 0.05 * np.linalg.norm(expected)
