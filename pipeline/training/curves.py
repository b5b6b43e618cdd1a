"""The curves of a training run."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def plot_history(history_file: Path, path: Path) -> None:
    """Draws loss and accuracy by epoch.

    Args:
        history_file: The CSV file that `EpochLog` wrote.
        path: The PNG file to write.
    """
    with history_file.open(newline="", encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    _draw(loss, rows, "loss")
    _draw(accuracy, rows, "accuracy")
    accuracy.set_ylim(0, 1.02)
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, rows: list[dict[str, float]], name: str) -> None:
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) == 1 else None
    axes.plot(epochs, [row[name] for row in rows], label="training", marker=marker)
    if f"val_{name}" in rows[0]:
        values = [row[f"val_{name}"] for row in rows]
        axes.plot(epochs, values, label="validation", marker=marker)
        best = min(rows, key=lambda row: row["val_loss"])
        axes.axvline(best["epoch"], color="0.7", linestyle=":", label="kept")
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, len(rows) + 0.5)
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
