"""All that a training must remember to go on as if it had never stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from pipeline.atomic import atomic_write
from pipeline.errors import DataError
from pipeline.training.alarms import Alarms
from pipeline.training.averaging import WeightAverage
from pipeline.training.callbacks import KeepBest


@dataclasses.dataclass(frozen=True)
class Progress:
    """What of a training changes from epoch to epoch.

    Attributes:
        model: The model in training, compiled and built.
        best: What is known of the best model.
        alarms: What was warned of.
        average: The average of its weights.
    """

    model: keras.Model
    best: KeepBest
    alarms: Alarms
    average: WeightAverage | None = None

    def variables(self) -> list[keras.Variable]:
        """Weights, states of dropout, moments of the optimiser, averages; in a fixed order."""
        if not self.model.optimizer.built:  # In half precision, each call would add to them.
            self.model.optimizer.build(self.model.trainable_variables)
        averages = self.average.variables if self.average else []
        return [*self.model.variables, *self.model.optimizer.variables, *averages]


class Checkpoint(keras.callbacks.Callback):
    """Writes the progress before the first epoch and after each; the file is replaced as a whole.

    Args:
        path: The file.
        progress: What it holds.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__()
        self._path, self._progress = path, progress

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Writes the file, so that there is one for as long as the training has not ended."""
        if not self._path.exists():
            self._write(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Writes the file."""
        self._write(epoch + 1)

    def _write(self, epochs_done: int) -> None:
        best = self._progress.best
        state = {
            "epoch": epochs_done,
            "stopped": bool(self.model.stop_training),
            "best_epoch": best.epoch,
            "lowest": best.lowest,
            "alarms": self._progress.alarms.state(),
        }
        arrays = [np.asarray(each.numpy()) for each in self._progress.variables()]
        with atomic_write(self._path) as file:
            np.savez(file, json.dumps(state), *arrays)


def restore(path: Path, progress: Progress) -> tuple[int, bool]:
    """Brings a training to where it was when a checkpoint was written.

    Returns:
        The number of epochs that are done, and whether it had stopped.

    Raises:
        DataError: The file is damaged, or of another model.
    """
    try:
        with path.open("rb") as file, np.load(file) as content:
            state, *arrays = (content[name] for name in content.files)
        state = json.loads(str(state))
        _assign(progress.variables(), arrays)
    except (OSError, ValueError, BadZipFile, KeyError, EOFError):
        raise DataError(
            f"{path}: damaged, or of another version. Train anew: --overwrite"
        ) from None
    progress.best.epoch, progress.best.lowest = state["best_epoch"], state["lowest"]
    progress.alarms.set_state(state["alarms"])
    return state["epoch"], state["stopped"]


def _assign(variables: Sequence[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        if variable.shape != array.shape:
            raise ValueError(f"expected the shape {variable.shape}, got {array.shape}")
        variable.assign(array)
