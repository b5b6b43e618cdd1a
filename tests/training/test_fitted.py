"""What of a network is fitted, streams apart and all stages of a temporal part; how it ends."""

import contextlib
import functools
import signal
import socket
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.models.recognizer import (
    build_recognizer,
    float32_twin,
    load_recognizer,
    trained_model,
)
from pipeline.tasks.multi_class import MultiClass
from pipeline.training.callbacks import KeepBest
from pipeline.training.checkpoint import Checkpoint, Progress, restore
from pipeline.training.cluster import Cluster
from pipeline.training.features import temporal_part
from pipeline.training.fit import train
from pipeline.training.guards import Alarms
from pipeline.training.optimizer import (
    AdamW,
    LossOfEach,
    MetricOfMean,
    WeightAverage,
    compile_model,
)
from pipeline.training.trainer import CtrlC, Trainer, ctrl_c_between_steps
from tests.runs import changed

CLASSES = 3
FRAMES = {"model.task": "frames", "temporal.kind": "tcn"}
SMALL = changed(
    RunConfig(),
    {
        "frames.size": 16,
        "clip.num_frames": 4,
        "model.streams": ("rgb", "difference"),
        "model.dropout": 0,
        "temporal.units": 4,
        "temporal.layers": 1,
        "temporal.dropout": 0,
        "backbone.filters": (4,),
    },
)
STAGES = changed(
    SMALL,
    {
        **FRAMES,
        "clip.num_frames": 8,
        "clip.sampling": "dense",
        "model.streams": ("rgb",),
        "model.dropout": 0.5,
        "backbone.learning_rate_factor": 0.5,
        "temporal.stages": 2,
        "train.learning_rate": 1e-2,
        "train.warmup": 0,
        "train.transition_penalty": 0.7,
    },
)


def batch(length):
    """Two clips, the second of which has unknown frames at its end."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, length, 16, 16, 3), dtype=np.uint8)
    mask = np.arange(length) < np.array([[length], [length - 3]])
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=(2, length))]
    return {"frames": frames, "mask": mask}, np.where(mask[..., None], targets, np.float32(-1))


def gradient_of_rgb(fusion, task, scale):
    """Of the head of one stream, where the other one answers `scale` times as loudly."""
    keras.utils.set_random_seed(0)
    values = FRAMES if task == "frames" else {"temporal.kind": "mean"}
    config = changed(SMALL, {"model.fusion": fusion, **values})
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


def test_the_loss_is_the_mean_and_the_metric_that_of_the_average(tiny_config, tmp_path):
    labels = np.eye(2, dtype=np.float32)[[0, 1]]
    logits = np.array([[[4.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 5.0]]], np.float32)  # B, S, C
    loss = MultiClass().loss()
    each = [float(loss(labels, logits[:, stream])) for stream in range(2)]
    assert float(LossOfEach(loss)(labels, logits)) == pytest.approx(np.mean(each))
    metric = MetricOfMean(MultiClass().metrics()[0])
    metric.update_state(labels, logits)
    assert metric.name == "accuracy"
    assert float(metric.result()) == 1
    metric.reset_state()
    metric.update_state(labels[::-1], logits)
    assert float(metric.result()) == 0
    # Evaluation finds what a training of streams apart found.
    streams = {"model.streams": ("rgb", "difference"), "model.fusion": "apart"}
    run = train(changed(tiny_config, streams), tmp_path / "run").run
    best = min(run.history(), key=lambda row: row["val_loss"])
    result = evaluate(run, "val")
    assert result.video.top1 == pytest.approx(best["val_accuracy"], abs=1e-6)
    assert result.num_videos == 4


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
    assert again.resume(restore(tmp_path / "checkpoint.npz", again)) == (2, False)
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


# The optimizer.


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
    # A factor scales the steps and the decay of its variable.
    for decay in (0.0, 0.01):
        fast, slow, _ = stepped({"slow": 0.1}, decay=decay)
        np.testing.assert_allclose(slow, fast / 10, rtol=0.01)


def model_of(**train):
    inputs = keras.layers.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    config = changed(RunConfig(), {f"train.{name}": value for name, value in train.items()})
    compile_model(model, config, steps=10)
    return model


def test_a_step_is_traced_once_and_gradients_are_clipped_by_their_common_norm():
    trained, traced = model_of(), []

    def step(data, train_step=trained.train_step):
        traced.append(data)
        return train_step(data)

    trained.train_step = step
    trained.fit(np.ones((6, 3), np.float32), np.ones((6, 2)), batch_size=2, verbose=0)
    assert len(traced) == 1
    assert trained.optimizer.global_clipnorm is None
    assert model_of(clip_norm=1.5).optimizer.global_clipnorm == 1.5
    # Accumulated steps equal a large batch.
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(8, 3)).astype(np.float32), np.eye(2)[rng.integers(2, size=8)]
    options = {"learning_rate": 0.1, "warmup": 0, "epochs": 1000}
    large, small = model_of(**options), model_of(**options, gradient_accumulation_steps=4)
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
    "recordings": {**FRAMES, "temporal.stages": 2, "model.streams": ("difference",)},
    "apart": {"temporal.kind": "mean", "model.fusion": "apart"},
}


def whole(kind, precision):
    """A whole network, and what does a step of its training."""
    values = {"train.precision": precision, "train.clip_norm": 0.5, **WHOLE[kind]}
    config = changed(SMALL, values)
    keras.utils.set_random_seed(0)
    fitted = trained_model(build_recognizer(config, CLASSES), config)
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
    fitted, step = whole(kind, "float32")
    step()
    expected = moments(fitted)
    assert np.linalg.norm(expected) > 0
    fitted, step = whole(kind, "mixed_float16")
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


# Ctrl-C.


class Press(keras.callbacks.Callback):
    """Ctrl-C in the middle of something, where its exception would go nowhere."""

    def __init__(self, hook):
        super().__init__()
        setattr(self, f"on_{hook}", self.press)

    def press(self, number=1, logs=None):  # noqa: ARG002
        if number != 0:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


class Count(keras.callbacks.Callback):
    """Of steps and epochs."""

    steps = epochs = 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.steps += 1

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.epochs += 1


def fit(ctrl_c, *callbacks, test_steps=4, cluster=None):
    """Three epochs of eight steps, and some of validation."""
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.optimizer.build(model.trainable_variables)
    clip = np.zeros((1, 1), np.float32)
    clips = tf.data.Dataset.from_tensors((clip, clip)).repeat()
    Trainer(model, [], cluster or Cluster()).fit(
        lambda **_: clips,
        lambda **_: (clips, test_steps),
        epochs=range(3),
        steps=8,
        callbacks=callbacks,
        ctrl_c=ctrl_c,
    )


@pytest.mark.parametrize(
    ("hook", "steps", "epochs"),
    [
        ("train_batch_begin", 2, 0),
        ("test_begin", 8, 0),
        ("epoch_end", 16, 2),
        ("train_end", 24, 3),
    ],
)
def test_ctrl_c_ends_the_training_with_the_step(hook, steps, epochs):
    """Of validation as well, however many steps it has."""
    before, count = signal.getsignal(signal.SIGINT), Count()
    turns = 10**9 if hook == "test_begin" else 4
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps() as ctrl_c:
        fit(ctrl_c, count, Press(hook), test_steps=turns)
    assert (count.steps, count.epochs) == (steps, epochs)
    assert signal.getsignal(signal.SIGINT) is before


def test_all_workers_are_through_with_the_step_that_ctrl_c_ends():
    line, of_another = socket.socketpair()
    with contextlib.closing(line), ctrl_c_between_steps() as ctrl_c:
        threading.Timer(0.5, of_another.close).start()
        with pytest.raises(KeyboardInterrupt):
            fit(ctrl_c, Press("train_batch_begin"), cluster=Cluster(lines=(line,)))
        assert line.fileno() == of_another.fileno() == -1
        ctrl_c.pressed = False


def press_twice():
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    return "at once"


def press_and_fail():
    signal.raise_signal(signal.SIGINT)
    raise ValueError("not a tensor")


def test_the_second_raises_at_once_and_an_error_that_a_library_made_of_it_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps():
        assert press_twice() == "at once"
    with pytest.raises(KeyboardInterrupt), ctrl_c_between_steps():
        press_and_fail()
    with pytest.raises(ValueError, match="no tensor either"), ctrl_c_between_steps():
        raise ValueError("no tensor either")


def test_where_ctrl_c_is_ignored_or_not_pressed_and_in_another_thread_nothing_happens():
    before, count = signal.signal(signal.SIGINT, signal.SIG_IGN), Count()
    try:
        with ctrl_c_between_steps() as ctrl_c:
            fit(ctrl_c, count, Press("train_batch_begin"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert count.epochs == 3

    def train():
        with ctrl_c_between_steps() as ctrl_c:
            fit(ctrl_c)
            done.append(not ctrl_c.pressed)

    done = []
    train()
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert done == [True, True]
