"""What is averaged, kept and written while a model is trained, with real models of few weights."""

import json
import math

import keras
import matplotlib.image
import numpy as np
import pytest

from pipeline.config import ModelConfig, TrainConfig
from pipeline.models.layers import BatchNormalization
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training import checkpoint
from pipeline.training.alarms import Alarms, TrainingWarning
from pipeline.training.averaging import WeightAverage
from pipeline.training.callbacks import EpochLog, KeepBest, cut_history
from pipeline.training.checkpoint import TIMES_AS_LONG, Checkpoint, Progress
from pipeline.training.curves import plot_history


@pytest.fixture
def model():
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.5))
    model.stop_training = False
    return model


@pytest.fixture
def best(model, tmp_path):
    best = KeepBest(tmp_path / "model.keras", model, lambda: keras.models.clone_model(model))
    best.set_model(model)
    return best


# The average of the weights.


@pytest.fixture
def normalised():
    model = keras.Sequential(
        [keras.layers.Input((2,)), BatchNormalization(), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


class Steps(keras.callbacks.Callback):
    """The kernel, and the mean that batch normalisation takes off, after each step."""

    def on_train_begin(self, logs=None):  # noqa: ARG002
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        dense, norm = self.model.layers[-1], self.model.layers[-2]
        self.seen.append((dense.kernel.numpy(), mean_of(norm)))


def mean_of(norm):
    return norm.moving_mean.numpy() / (1 - norm.momentum ** float(norm.steps))


def test_the_average_is_that_of_the_weights_and_statistics_after_each_step(normalised):
    """Validation uses it."""
    average, steps = WeightAverage(normalised, momentum=0.8), Steps()
    norm, dense = normalised.layers[-2:]
    wanted = [value.copy() for value in (dense.kernel.numpy(), np.zeros(2))]
    inputs = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    data, given = (inputs + 3, inputs.sum(axis=1, keepdims=True)), {"batch_size": 4, "verbose": 0}
    normalised.fit(*data, **given, shuffle=False, callbacks=[average, steps])
    for number, values in enumerate(steps.seen, start=1):
        momentum = min(0.8, (1 + number) / (10 + number))
        wanted = [
            momentum * mean + (1 - momentum) * value
            for mean, value in zip(wanted, values, strict=True)
        ]
    last, plain = dense.kernel.numpy(), normalised.evaluate(*data, **given)
    with average.applied():
        np.testing.assert_allclose(dense.kernel.numpy(), wanted[0], rtol=1e-5)
        np.testing.assert_allclose(mean_of(norm), wanted[1], rtol=1e-5)
        assert np.abs(dense.kernel.numpy() - last).max() > 1e-4
        averaged = normalised.evaluate(*data, **given)
    np.testing.assert_array_equal(dense.kernel.numpy(), last)
    assert normalised.evaluate(*data, **given, callbacks=[average]) == pytest.approx(averaged)
    assert plain != pytest.approx(averaged, rel=1e-3)
    assert normalised.evaluate(*data, **given) == plain


def test_statistics_that_do_not_change_are_their_own_average(normalised):
    """After few steps as well: the moving ones still hold little of the data then."""
    average = WeightAverage(normalised, momentum=0.99)
    inputs = np.tile([[3.0, -1.0], [5.0, 1.0]], (40, 1)).astype(np.float32)
    data = inputs, inputs[:, :1]
    normalised.fit(*data, batch_size=4, verbose=0, shuffle=False, callbacks=[average])
    norm = normalised.layers[-2]
    with average.applied():
        np.testing.assert_allclose(mean_of(norm), [4.0, 0.0], atol=0.01)
        variance = norm.moving_variance.numpy() / norm.share_of_data().numpy()
        np.testing.assert_allclose(variance, [1.0, 1.0], atol=0.01)


# The best model.


def end_epochs(best, model, losses):
    """Ends an epoch with each validation loss, the weight being the number of the epoch."""
    for epoch, loss in enumerate(losses):
        model.set_weights([np.full((1, 1), epoch + 1.0)])
        best.on_epoch_end(epoch, {"loss": 1.0} if loss is None else {"loss": 1.0, "val_loss": loss})


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ([3.0, 1.0, 2.0], 2),
        ([1.0, 1.0], 1),
        ([2.0, math.nan, 3.0], 1),
        ([math.nan, 2.0, 3.0], 2),
        ([None, None, None], 3),
    ],
)
def test_the_model_of_the_lowest_validation_loss_is_kept(best, model, tmp_path, losses, kept):
    end_epochs(best, model, losses)
    assert best.epoch == kept
    assert not list(tmp_path.iterdir())
    best.write()
    assert keras.saving.load_model(tmp_path / "model.keras").get_weights()[0] == kept
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_training_stops_when_patience_is_at_its_end_or_it_diverges(model, tmp_path):
    best = KeepBest(tmp_path / "model.keras", model, lambda: model, patience=2)
    best.set_model(model)
    end_epochs(best, model, [3.0, 2.0, 2.5])
    assert not model.stop_training
    best.on_epoch_end(3, {"loss": 1.0, "val_loss": 2.25})
    assert model.stop_training
    model.stop_training = False
    best.on_epoch_end(4, {"loss": math.nan})
    assert model.stop_training
    assert best.epoch == 2, "of a model that diverged nothing is kept"


def test_a_full_disk_is_told_with_the_name_of_the_file(best, model, tmp_path, full_disk):
    best.on_epoch_end(0, {"loss": 1.0})
    best.write()
    before = (tmp_path / "model.keras").read_bytes()
    log = EpochLog(tmp_path / "history.csv", 2, best)
    log.set_model(model)
    best.on_epoch_end(1, {"loss": 1.0})
    with full_disk(), pytest.raises(OSError, match="model.keras"):
        best.write()
    with full_disk(), pytest.raises(OSError, match="history.csv"):
        log.on_epoch_end(1, {"loss": 1.0})
    assert (tmp_path / "model.keras").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "model.keras"]


def test_a_model_that_cannot_be_saved_is_not_taken_for_saved(best, model, tmp_path):
    (tmp_path / "model.keras").mkdir()
    end_epochs(best, model, [1.0])
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            best.write()
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


# The history.

LOGS = {"loss": 0.5, "accuracy": 0.25}


@pytest.fixture
def logged(best, model, tmp_path, capsys):
    """What is printed and written of epochs, by the logs of each."""

    def logged(epochs, *given, **options):
        log = EpochLog(tmp_path / "history.csv", epochs, best, **options)
        log.set_model(model)
        for epoch, logs in enumerate(given):
            log.on_epoch_begin(epoch)
            best.on_epoch_end(epoch, logs)
            log.on_epoch_end(epoch, logs)
        return capsys.readouterr().out.splitlines(), Run(tmp_path).history()

    return logged


def test_each_epoch_is_a_line_on_the_terminal_and_in_the_file(logged):
    losses = [0.75, 0.875]
    both = [{**LOGS, "val_loss": loss, "val_accuracy": 1.0} for loss in losses]
    (first, second), rows = logged(20, *both)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["val_loss"] for row in rows] == losses
    found = {(row["loss"], row["accuracy"], row["learning_rate"]) for row in rows}
    assert found == {(0.5, 0.25, 0.5)}
    wanted = "epoch   1/20   train loss 0.500 accuracy 0.250   validation loss 0.750"
    assert first.startswith(wanted)
    assert first.endswith(" s *"), "the epoch that is kept is marked"
    assert second.startswith("epoch   2/20")
    assert second.endswith(" s")


def test_without_validation_no_epoch_is_marked_and_a_metric_has_its_title(logged):
    title = task_of(ModelConfig(task="frames-multilabel")).metric_title
    (line,), (row,) = logged(1, LOGS, metric_title=title)
    assert "loss 0.500 classes right 0.250" in line
    assert "validation" not in line
    assert "*" not in line
    assert row["accuracy"] == 0.25


HEADER = b"epoch,seconds,loss,accuracy\r\n"


def test_a_history_is_cut_to_whole_epochs(tmp_path):
    run = Run(tmp_path)
    run.history_file.write_bytes(HEADER + b"1,1,3.0,0\r\n2,1,2.0,0\r\n3,1,1.0,0\r\n")
    cut_history(run, 2)
    assert run.history_file.read_bytes() == HEADER + b"1,1,3.0,0\r\n2,1,2.0,0\r\n"
    cut_history(run, 0)
    assert not run.history_file.exists()


def test_a_damaged_history_begins_anew(best, model, tmp_path):
    run = Run(tmp_path)
    run.history_file.write_bytes(HEADER + b"1,1,3.0,0\r\n\0\0\0")
    with pytest.warns(TrainingWarning, match="history.csv: damaged; .* anew, with epoch 2"):
        cut_history(run, 1)
    log = EpochLog(run.history_file, 2, best)
    log.set_model(model)
    log.on_epoch_begin(1)
    log.on_epoch_end(1, LOGS)
    assert [row["epoch"] for row in run.history()] == [2]


@pytest.mark.parametrize(("epochs", "prefixes"), [(1, ("",)), (3, ("", "val_"))])
def test_curves_of_any_length_with_and_without_validation(tmp_path, epochs, prefixes):
    columns = [prefix + name for prefix in prefixes for name in ("loss", "accuracy")]
    rows = [
        {"epoch": float(epoch)} | dict.fromkeys(columns, 1 / epoch)
        for epoch in range(1, epochs + 1)
    ]
    plot_history(rows, tmp_path / "curves.png")
    pixels = matplotlib.image.imread(tmp_path / "curves.png")[..., :3]
    blue, orange = (0.12, 0.47, 0.71), (1.0, 0.5, 0.05)
    for colour, expected in ((blue, True), (orange, "val_loss" in columns)):
        assert (abs(pixels - colour).max(axis=-1) < 0.02).any() == expected


# After which epochs a checkpoint is written.


class Clock:
    """Seconds, which only the test moves on; and to write a checkpoint takes one."""

    seconds = 0.0

    def __init__(self):
        self.written = []

    def monotonic(self):
        return self.seconds

    def savez(self, _, state, *_arrays):
        self.written.append(json.loads(state)["epoch"])
        self.seconds += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(checkpoint, "time", clock)
    monkeypatch.setattr(checkpoint.np, "savez", clock.savez)
    return clock


def test_writing_takes_a_twentieth_of_the_time_and_is_done_at_the_end(model, best, clock, tmp_path):
    progress = Progress(model, best, Alarms(TrainConfig(), 0.5))
    callback = Checkpoint(tmp_path / "checkpoint.npz", progress)
    callback.set_model(model)
    callback.set_params({"epochs": 100})
    best.on_epoch_end(0, {"loss": 1.0})
    for epoch in range(50):
        clock.seconds += TIMES_AS_LONG / 5
        callback.on_epoch_end(epoch)
    due = [1, *range(6, 51, 5)]
    assert clock.written == due
    assert (tmp_path / "model.keras").is_file(), "before what tells of it"
    for _ in range(2):
        callback.write()
        assert clock.written == [*due, 50]
    callback.on_epoch_end(99)
    callback.model.stop_training = True
    callback.on_epoch_end(100)
    assert clock.written == [*due, 50, 100, 101]
