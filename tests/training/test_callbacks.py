"""What is kept and written at the end of an epoch, with a real model of one weight."""

import csv
import math

import keras
import numpy as np
import pytest

from pipeline.config import ModelConfig
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training.alarms import TrainingWarning
from pipeline.training.callbacks import EpochLog, KeepBest, cut_history


@pytest.fixture
def model():
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.5))
    return model


@pytest.fixture
def best(model, tmp_path):
    best = KeepBest(tmp_path / "model.keras", model, lambda: keras.models.clone_model(model))
    best.set_model(model)
    return best


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


def end_epochs(best, model, losses):
    """Ends an epoch with each validation loss, the weight being the number of the epoch."""
    for epoch, loss in enumerate(losses):
        model.set_weights([np.full((1, 1), epoch + 1.0)])
        best.on_epoch_end(epoch, {"loss": 1.0} if loss is None else {"loss": 1.0, "val_loss": loss})


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ([3.0, 2.0, 1.0], 3),
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


def test_a_model_that_diverged_is_not_kept(best, model, tmp_path):
    best.on_epoch_end(0, {"loss": math.nan})
    assert best.epoch == 0
    assert model.stop_training
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_saved_is_not_taken_for_saved(best, model, tmp_path):
    (tmp_path / "model.keras").mkdir()
    end_epochs(best, model, [1.0])
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            best.write()
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_each_epoch_is_a_line_on_the_terminal_and_in_the_file(best, model, tmp_path, capsys):
    log = EpochLog(tmp_path / "history.csv", 20, best)
    log.set_model(model)
    for epoch, loss in enumerate([0.75, 0.875]):
        logs = {"loss": 0.5, "accuracy": 0.25, "val_loss": loss, "val_accuracy": 1.0}
        log.on_epoch_begin(epoch)
        best.on_epoch_end(epoch, logs)
        log.on_epoch_end(epoch, logs)

    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert [float(row["val_loss"]) for row in rows] == [0.75, 0.875]
    assert {(row["loss"], row["accuracy"], row["learning_rate"]) for row in rows} == {
        ("0.5", "0.25", "0.5")
    }
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "epoch   1/20   train loss 0.500 accuracy 0.250   validation loss 0.750"
    )
    assert first.endswith(" s *"), "the epoch that is kept is marked"
    assert second.startswith("epoch   2/20")
    assert second.endswith(" s")


def test_a_line_says_what_its_metric_is(best, model, tmp_path, capsys):
    title = task_of(ModelConfig(task="frames-multilabel")).metric_title
    log = EpochLog(tmp_path / "history.csv", 1, best, title)
    log.set_model(model)
    log.on_epoch_begin(0)
    log.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.25})
    assert "loss 0.500 classes right 0.250" in capsys.readouterr().out
    assert "accuracy" in (tmp_path / "history.csv").read_text()


def test_without_validation_no_epoch_is_marked(best, model, tmp_path, capsys):
    log = EpochLog(tmp_path / "history.csv", 1, best)
    log.set_model(model)
    logs = {"loss": 0.5, "accuracy": 0.25}
    log.on_epoch_begin(0)
    best.on_epoch_end(0, logs)
    log.on_epoch_end(0, logs)
    line = capsys.readouterr().out
    assert "validation" not in line
    assert "*" not in line


def test_training_stops_when_patience_is_at_its_end(model, tmp_path):
    best = KeepBest(tmp_path / "model.keras", model, lambda: model, patience=2)
    best.set_model(model)
    model.stop_training = False
    end_epochs(best, model, [3.0, 2.0, 2.5])
    assert not model.stop_training
    best.on_epoch_end(3, {"loss": 1.0, "val_loss": 2.25})
    assert model.stop_training
    assert best.epoch == 2


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
    log.on_epoch_end(1, {"loss": 2.0, "accuracy": 0.5})
    assert [row["epoch"] for row in run.history()] == [2]
