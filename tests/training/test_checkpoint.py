"""After which epochs a checkpoint is written, with a clock of its own."""

import json
import types

import keras
import pytest

from pipeline.config import TrainConfig
from pipeline.training import checkpoint
from pipeline.training.alarms import Alarms
from pipeline.training.callbacks import KeepBest
from pipeline.training.checkpoint import TIMES_AS_LONG, Checkpoint, Progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds, which only the test moves on."""
    now = types.SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def written(clock, monkeypatch):
    """The epochs after which it was written; each time took a second."""
    epochs = []

    def write(_, state, *arrays):
        epochs.append(json.loads(state)["epoch"])
        clock.seconds += 1

    monkeypatch.setattr(checkpoint.np, "savez", write)
    return epochs


@pytest.fixture
def callback(tmp_path):
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile()
    model.stop_training = False
    best = KeepBest(tmp_path / "model.keras", model, lambda: model)
    progress = Progress(model, best, Alarms(TrainConfig(), 0.5))
    callback = Checkpoint(tmp_path / "checkpoint.npz", progress)
    callback.set_model(model)
    callback.set_params({"epochs": 100})
    return callback


def test_writing_takes_a_twentieth_of_the_time(callback, clock, written):
    for epoch in range(50):
        clock.seconds += TIMES_AS_LONG / 5
        callback.on_epoch_end(epoch)
    assert written == [1, *range(6, 51, 5)]


def test_the_last_epoch_is_always_written(callback, written):
    for epoch in range(100):
        callback.on_epoch_end(epoch)
    assert written == [1, 100]


def test_what_stops_early_is_written(callback, written):
    callback.on_epoch_end(0)
    callback.model.stop_training = True
    callback.on_epoch_end(1)
    assert written == [1, 2]


def test_what_the_last_epoch_left_is_written_when_asked(callback, written):
    callback.on_epoch_end(0)
    callback.on_epoch_end(1)
    assert written == [1]
    callback.write()
    assert written == [1, 2]
    callback.write()
    assert written == [1, 2]


def test_the_best_model_is_written_before_what_tells_of_it(callback, tmp_path, written):
    callback.progress.best.set_model(callback.model)
    callback.progress.best.on_epoch_end(0, {"loss": 1.0})
    callback.on_epoch_end(0)
    assert (tmp_path / "model.keras").is_file()
