"""What is averaged, kept, written and warned of while a model of few weights is trained."""

import json
import math

import keras
import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes

from pipeline.config import ModelConfig, TrainConfig
from pipeline.manifest.rows import Row
from pipeline.models.layers import BatchNormalization
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training import checkpoint
from pipeline.training.callbacks import EpochLog, KeepBest, cut_history, plot_history
from pipeline.training.checkpoint import TIMES_AS_LONG, Checkpoint, Progress
from pipeline.training.guards import Alarms, TrainingWarning, warn_of_few_groups
from pipeline.training.optimizer import TopClassShare, WeightAverage


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


def test_a_model_that_cannot_be_written_is_told_and_not_taken_for_written(
    best, model, tmp_path, full_disk
):
    (tmp_path / "model.keras").mkdir()
    end_epochs(best, model, [1.0])
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            best.write()
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    (tmp_path / "model.keras").rmdir()
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


def test_a_history_is_cut_to_whole_epochs_and_a_damaged_one_begins_anew(tmp_path, best, model):
    run = Run(tmp_path)
    run.history_file.write_bytes(HEADER + b"1,1,3.0,0\r\n2,1,2.0,0\r\n3,1,1.0,0\r\n")
    cut_history(run, 2)
    assert run.history_file.read_bytes() == HEADER + b"1,1,3.0,0\r\n2,1,2.0,0\r\n"
    # It may have begun anew in between.
    run.history_file.write_bytes(HEADER + b"2,1,2.0,0\r\n3,1,1.0,0\r\n")
    cut_history(run, 2)
    assert run.history_file.read_bytes() == HEADER + b"2,1,2.0,0\r\n"
    cut_history(run, 0)
    assert not run.history_file.exists()
    run.history_file.write_bytes(HEADER + b"1,1,3.0,0\r\n\0\0\0")
    with pytest.warns(TrainingWarning, match="history.csv: damaged; .* anew, with epoch 2"):
        cut_history(run, 1)
    log = EpochLog(run.history_file, 2, best)
    log.set_model(model)
    log.on_epoch_begin(1)
    log.on_epoch_end(1, LOGS)
    assert [row["epoch"] for row in run.history()] == [2]


@pytest.mark.parametrize(("epochs", "prefixes"), [(1, ("",)), (3, ("", "val_"))])
@pytest.mark.parametrize("keeps_last", [False, True])
def test_curves_of_any_length_with_and_without_validation(
    tmp_path, epochs, prefixes, keeps_last, monkeypatch
):
    columns = [prefix + name for prefix in prefixes for name in ("loss", "accuracy")]
    rows = [
        {"epoch": float(epoch)} | dict.fromkeys(columns, 1 / epoch)
        for epoch in range(1, epochs + 1)
    ]
    if epochs > 1:  # The first is not a number, and the second the lowest.
        rows[0]["val_loss"], rows[1]["val_loss"] = math.nan, 0.1
    drawn = []
    monkeypatch.setattr(Axes, "axvline", lambda _, epoch, **__: drawn.append(epoch))
    plot_history(rows, tmp_path / "curves.png", keeps_last=keeps_last)
    assert drawn == ([3 if keeps_last else 2] * 2 if epochs > 1 else [])
    pixels = matplotlib.image.imread(tmp_path / "curves.png")[..., :3]
    blue, orange = (0.12, 0.47, 0.71), (1.0, 0.5, 0.05)
    for colour, expected in ((blue, True), (orange, "val_loss" in columns)):
        assert (abs(pixels - colour).max(axis=-1) < 0.02).any() == expected


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


# Signs that a training goes wrong.

CHANCE = 0.25
FINE = {"loss": 1.0, "accuracy": 0.8, "val_accuracy": 0.7, "val_top_class_share": 0.3}


def feed(alarms, epochs, first=5, **changes):
    for epoch in range(first, first + epochs):
        alarms.on_epoch_end(epoch, {**FINE, **changes})


SIGNS = {
    "are given one and the same class": {"val_accuracy": 0.25, "val_top_class_share": 0.99},
    "at chance .0.20. while training is at 0.80": {"val_accuracy": 0.2},
    "neither training .0.30. nor validation .0.20.": {"accuracy": 0.3, "val_accuracy": 0.2},
    "learned by heart": {"accuracy": 1.0, "val_accuracy": 0.75},
}


def test_each_sign_is_warned_of_once_after_three_epochs_in_a_row():
    """Nothing is said of the first epochs, and of a good training."""
    for message, changes in SIGNS.items():
        alarms = Alarms(TrainConfig(), CHANCE)
        feed(alarms, 4, first=0, **changes)
        feed(alarms, 20)
        feed(alarms, 2, **changes)
        feed(alarms, 1)
        feed(alarms, 2, **changes)
        with pytest.warns(TrainingWarning, match=f"^epoch 6: .*{message}") as caught:
            feed(alarms, 12, **changes)
        assert len(caught) == 1
        assert "\n" not in str(caught[0].message)


def test_without_validation_only_the_loss_is_looked_at_and_what_was_seen_is_remembered():
    alarms = Alarms(TrainConfig(learning_rate=0.5), CHANCE)
    for epoch in range(9):
        alarms.on_epoch_end(epoch, {"loss": 1.0, "accuracy": 1.0})
    with pytest.warns(TrainingWarning, match=r"epoch 10: .* --train.learning_rate 0.05"):
        alarms.on_epoch_end(9, {"loss": np.nan, "accuracy": 0.1})
    first, later, last = (Alarms(TrainConfig(), CHANCE) for _ in range(3))
    feed(first, 2, val_accuracy=0.2)
    later.set_state(first.state())
    with pytest.warns(TrainingWarning, match="at chance"):
        feed(later, 1, val_accuracy=0.2)
    last.set_state(later.state())
    feed(last, 5, val_accuracy=0.2)


def test_classes_of_few_groups():
    rows = [
        Row(path=f"{label}{group}{split}", label=label, group=group, split=split)
        for label, groups, split in (
            ("walk", "abc", "train"),
            ("run", "ab", "train"),
            ("run", "cdef", "test"),
            ("sit", "a", "train"),
        )
        for group in groups
    ]
    with pytest.warns(TrainingWarning, match="videos of 'run', 'sit' come from fewer than 3 gr"):
        warn_of_few_groups(rows)
    warn_of_few_groups([row for row in rows if row.label == "walk"])


def test_the_share_of_the_class_that_is_answered_most_often():
    """Of known frames, and of the last stage."""
    metric = TopClassShare(3)
    answers = np.eye(3)[[0, 1, 1]]
    metric.update_state(np.zeros((3, 3)), answers)
    metric.update_state(np.zeros((3, 3)), np.eye(3)[[1, 1, 2]])
    assert float(metric.result()) == pytest.approx(4 / 6)
    metric.reset_state()
    metric.update_state(np.zeros((1, 3)), answers[:1])
    assert float(metric.result()) == 1
    answers = np.eye(3)[[[0, 1, 1, 1], [2, 1, 0, 0]]]
    targets = np.zeros((2, 4, 3))
    targets[1, 1:] = -1  # 0, 1, 1, 1 and 2 are left
    for logits in (answers, np.stack([np.roll(answers, 1, axis=-1), answers], axis=1)):
        metric.reset_state()
        metric.update_state(targets, logits)
        assert float(metric.result()) == pytest.approx(3 / 5)
