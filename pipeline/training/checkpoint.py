"""All that a training must remember to go on as if it had never stopped."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import keras
import numpy as np

from pipeline.atomic import atomic_write
from pipeline.errors import DataError
from pipeline.training.callbacks import KeepBest
from pipeline.training.guards import Alarms
from pipeline.training.optimizer import WeightAverage

TIMES_AS_LONG = 20
"""Between two checkpoints, as long as one took."""


State = dict[str, Any]

BEGINNING: Final[State] = {
    "epoch": 0,
    "stopped": False,
    "best_epoch": 0,
    "lowest": math.inf,
    "alarms": {},
}
"""The state of a training that has not begun."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """The state of a training that changes from epoch to epoch.

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
        averages = self.average.variables if self.average else []
        return [*self.model.variables, *self.model.optimizer.variables, *averages]

    def state(self, epochs_done: int) -> State:
        """All else, as JSON types."""
        return {
            "epoch": epochs_done,
            "stopped": bool(self.model.stop_training),
            "best_epoch": self.best.epoch,
            "lowest": self.best.lowest,
            "alarms": self.alarms.state(),
        }

    def resume(self, state: State) -> tuple[int, bool]:
        """Goes on from what `state` gave; returns the epochs that are done, and if it had ended."""
        self.best.epoch, self.best.lowest = state["best_epoch"], state["lowest"]
        self.alarms.set_state(state["alarms"])
        return state["epoch"], state["stopped"]


class Checkpoint(keras.callbacks.Callback):
    """Writes the progress, and the best model, after the first epoch, the last, and some between.

    The file is replaced as a whole. Writing takes at most a twentieth of the time; a kill loses
    the epochs since the last time. What the last epoch left is in memory until `write` is called.

    Args:
        path: The file.
        progress: What is written.

    Attributes:
        progress: The same.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__()
        self._path, self.progress = path, progress
        self._due = -math.inf
        self._unwritten: tuple[State, list[np.ndarray]] | None = None

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Writes the file, so that there is one for as long as the training has not ended."""
        if not self._path.exists():
            self._take(0)
            self.write()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Takes the progress, and writes the file where it is time to."""
        self._take(epoch + 1)
        is_last = self.model.stop_training or epoch + 1 == self.params["epochs"]
        started = time.monotonic()
        if is_last or started >= self._due:
            self.write()
            ended = time.monotonic()
            self._due = ended + TIMES_AS_LONG * (ended - started)

    def write(self) -> None:
        """Writes the best model, and then the progress that tells of it, if there is any news."""
        self.progress.best.write()
        if self._unwritten is None:
            return
        state, arrays = self._unwritten
        with atomic_write(self._path) as file:
            np.savez(file, json.dumps(state), *arrays)
        self._unwritten = None

    def _take(self, epochs_done: int) -> None:
        arrays = [np.array(each.numpy()) for each in self.progress.variables()]
        self._unwritten = self.progress.state(epochs_done), arrays


def restore(path: Path, progress: Progress) -> State:
    """Gives the variables of a training what they had when a checkpoint was written.

    Returns:
        The rest, for `Progress.resume`.

    Raises:
        DataError: The file is damaged, or of another model.
    """
    try:
        with path.open("rb") as file, np.load(file) as content:
            state, *arrays = (content[name] for name in content.files)
        found: State = json.loads(str(state))
        if found.keys() != BEGINNING.keys():
            raise KeyError
        _assign(progress.variables(), arrays)
    except (OSError, ValueError, TypeError, BadZipFile, KeyError, EOFError):
        raise DataError(
            f"{path}: damaged, or of another version. Train anew: --overwrite"
        ) from None
    return found


def _assign(variables: Sequence[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        if variable.shape != array.shape:
            raise ValueError(f"expected the shape {variable.shape}, got {array.shape}")
        variable.assign(array)
