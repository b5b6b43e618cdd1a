"""The curves of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.figures import plain_axes

History = Sequence[dict[str, float]]


def plot_history(rows: History, path: Path, metric_title: str = "accuracy") -> None:
    """Draws loss and accuracy by epoch, at least one, see `Run.history`; a PNG file."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    _draw(loss, rows, "loss", "loss")
    _draw(accuracy, rows, "accuracy", metric_title)
    accuracy.set_ylim(0, 1.02)
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, rows: History, name: str, title: str) -> None:
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) == 1 else None
    axes.plot(epochs, [row[name] for row in rows], label="training", marker=marker)
    if f"val_{name}" in rows[0]:
        values = [row[f"val_{name}"] for row in rows]
        axes.plot(epochs, values, label="validation", marker=marker)
        best = min(rows, key=lambda row: row["val_loss"])
        axes.axvline(best["epoch"], color="0.7", linestyle=":", label="kept")
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_axes(axes, "epoch", title)
    axes.legend(frameon=False)
