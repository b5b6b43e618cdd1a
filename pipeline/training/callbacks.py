"""Callbacks at the end of an epoch: the best model is kept, and a line is written."""

from __future__ import annotations

import contextlib
import csv
import functools
import itertools
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.atomic import atomic_write, named_in_errors
from pipeline.errors import DataError, PipelineError
from pipeline.figures import plain_axes
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.training.guards import TrainingWarning
from pipeline.training.optimizer import WeightAverage

Logs = dict[str, float]


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the lowest validation loss; without validation, the last ones.

    They are in memory until `write` is called: a file of a model takes longer than an epoch of a
    small one.

    Args:
        path: The file of the model.
        network: The whole network, also where a part of it is trained.
        twin: Builds the network that is saved with these weights.
        average: The average of the weights to keep in place of the last ones.
        patience: Epochs without a better validation loss after which training stops; 0: none.
        last: Whether the last weights are kept in any case.

    Attributes:
        epoch: Epoch of the weights, from 1; 0 while there are none.
        lowest: Their validation loss; infinite without validation.
    """

    def __init__(
        self,
        path: Path,
        network: keras.Model,
        twin: Callable[[], keras.Model],
        *,
        average: WeightAverage | None = None,
        patience: int = 0,
        last: bool = False,
    ) -> None:
        super().__init__()
        self._path, self._network = path, network
        self._twin = functools.cache(twin)
        self._average, self._patience, self._last = average, patience, last
        self._unwritten: list[np.ndarray] | None = None
        self._is_written = False
        self.lowest = math.inf
        self.epoch = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Takes the weights if they are the best so far; stops where there is no hope of better."""
        logs = logs or {}
        loss = logs.get("val_loss")
        if not math.isfinite(logs["loss"]):
            self.model.stop_training = True
            return
        if loss is None or self._last or loss < self.lowest:  # It may be NaN, which is not less.
            with self._average.applied() if self._average else contextlib.nullcontext():
                self._unwritten = self._network.get_weights()
            self.lowest = math.inf if loss is None else min(loss, self.lowest)
            self.epoch = epoch + 1
        elif self._patience and epoch + 1 - self.epoch >= self._patience:
            self.model.stop_training = True

    def write(self) -> None:
        """Saves the model, where it is not saved yet; the file is replaced as a whole.

        Raises:
            OSError: It cannot be written.
        """
        if self._unwritten is None:
            return
        self._twin().set_weights(self._unwritten)
        # Keras takes the format from the ending of the name.
        temporary = self._path.with_name(f".partial-{self._path.name}")
        try:
            with named_in_errors(self._path):
                self._twin().save(temporary)
                temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)
        self._unwritten = None
        self._is_written = True

    def kept(self) -> keras.Model:
        """The model whose weights were kept, in float32; `write` was called before."""
        return self._twin() if self._is_written else load_recognizer(self._path)


class OutOfTimeError(PipelineError):
    """A training that would have taken longer than it may."""


class TimeLimit(keras.callbacks.Callback):
    """Ends a training that takes longer than it may.

    Args:
        until: When, by `time.monotonic`.
        keeps: Whether it ends with the epoch in which that is, and keeps what it has; else it is
            given up at once.
    """

    def __init__(self, until: float, *, keeps: bool) -> None:
        super().__init__()
        self._until, self._keeps = until, keeps

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Gives up, where nothing is kept."""
        if not self._keeps and time.monotonic() > self._until:
            raise OutOfTimeError("there was no time to end the training")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Stops, where something is; else gives up, unless this was the last epoch."""
        if time.monotonic() <= self._until:
            return
        if self._keeps:
            self.model.stop_training = True
        elif epoch + 1 < self.params["epochs"]:
            raise OutOfTimeError("there was no time to end the training")


class EpochLog(keras.callbacks.Callback):
    """One line an epoch, on the terminal and in a CSV file.

    Keras's `CSVLogger` counts from 0, and has neither seconds nor learning rate.

    Args:
        path: The CSV file: epoch, seconds, learning_rate and every loss and metric.
        epochs: Number of epochs planned.
        best: Marks the epochs whose model was kept.
        metric_title: What the metric `accuracy` is called on the terminal.
    """

    def __init__(
        self, path: Path, epochs: int, best: KeepBest, metric_title: str = "accuracy"
    ) -> None:
        super().__init__()
        self._metric_title = metric_title
        self._path, self._epochs, self._best = path, epochs, best
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the line."""
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "seconds": round(time.perf_counter() - self._started, 3),
            "learning_rate": float(self.model.optimizer.learning_rate),
            **(logs or {}),
        }
        is_new = epoch == 0 or not self._path.exists()
        mode = "w" if is_new else "a"
        with (
            named_in_errors(self._path),
            self._path.open(mode, newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, row)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print(self._line(row), flush=True)

    def _line(self, row: dict[str, Any]) -> str:
        text = f"epoch {row['epoch']:3d}/{self._epochs}"
        for title, prefix in (("train", ""), ("validation", "val_")):
            if f"{prefix}loss" in row:
                loss, accuracy = row[f"{prefix}loss"], row[f"{prefix}accuracy"]
                text += f"   {title} loss {loss:.3f} {self._metric_title} {accuracy:.3f}"
        kept = " *" if self._best.epoch == row["epoch"] and "val_loss" in row else ""
        return f"{text}   {row['seconds']:.1f} s{kept}"


def cut_history(run: Run, epochs: int) -> None:
    """Leaves the first epochs of what `EpochLog` wrote; a training goes on after them.

    If it is damaged, a warning says so, and nothing of it is left.
    """
    try:
        rows = [row for row in run.history() if row["epoch"] <= epochs]
    except DataError:
        rows = []
        text = f"{run.history_file}: damaged; its curves begin anew, with epoch {epochs + 1}"
        warnings.warn(text, TrainingWarning, stacklevel=2)
    if not rows:
        run.history_file.unlink(missing_ok=True)
        return
    with run.history_file.open("rb") as file:
        lines = [*itertools.islice(file, len(rows) + 1)]
    with atomic_write(run.history_file) as file:
        file.writelines(lines)


History = Sequence[dict[str, float]]


def plot_history(
    rows: History, path: Path, metric_title: str = "accuracy", *, keeps_last: bool = False
) -> None:
    """Draws loss and accuracy by epoch, at least one, see `Run.history`; a PNG file.

    Args:
        rows: The epochs.
        path: The file.
        metric_title: What the metric `accuracy` is called.
        keeps_last: Whether the last epoch is the one that is kept, whatever validation says.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    losses = [row.get("val_loss", math.nan) for row in rows]
    lowest = min(range(len(rows)), key=lambda number: (math.isnan(losses[number]), losses[number]))
    kept = rows[-1 if keeps_last else lowest]["epoch"]
    _draw(loss, rows, "loss", "loss", kept)
    _draw(accuracy, rows, "accuracy", metric_title, kept)
    accuracy.set_ylim(0, 1.02)
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, rows: History, name: str, title: str, kept: float) -> None:
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) == 1 else None
    axes.plot(epochs, [row[name] for row in rows], label="training", marker=marker)
    if f"val_{name}" in rows[0]:
        values = [row[f"val_{name}"] for row in rows]
        axes.plot(epochs, values, label="validation", marker=marker)
        axes.axvline(kept, color="0.7", linestyle=":", label="kept")
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_axes(axes, "epoch", title)
    axes.legend(frameon=False)
