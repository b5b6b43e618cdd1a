"""Pictures of what evaluation found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from pipeline.evaluation.frame_scores import LabelClassScores
from pipeline.evaluation.metrics import ClassScores, Tenth
from pipeline.evaluation.results import LengthScore
from pipeline.figures import PLAIN, any_script, plain_axes

Floats = npt.NDArray[np.floating[Any]]

_DPI = 120
_DARK, _LIGHT = "#1f5a94", "#a9c8e6"


def plot_confusion(counts: npt.NDArray[np.int64], class_names: Sequence[str], path: Path) -> None:
    """Draws a confusion matrix: shade is the share of the true class, number is the count.

    Args:
        counts: int64 (C, C), row is the true class, column the answer.
        class_names: C names.
        path: The PNG file to write.
    """
    with any_script():
        _confusion_figure(counts, class_names).savefig(path, dpi=_DPI)


def _confusion_figure(counts: npt.NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.42 * len(class_names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(class_names))
    class_names = [_short(name) for name in class_names]
    axes.set_xticks(ticks, class_names, rotation=45, ha="right", rotation_mode="anchor", **PLAIN)
    axes.set_yticks(ticks, class_names, **PLAIN)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    if len(class_names) <= 30:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def plot_per_class(per_class: Mapping[str, ClassScores | LabelClassScores], path: Path) -> None:
    """Draws precision and recall of each class as bars; a PNG file."""
    names = [_short(name) for name in per_class]
    places = np.arange(len(names))
    with any_script():
        figure = Figure(figsize=(5.4, 1.2 + 0.42 * len(names)), layout="constrained")
        axes = figure.subplots()
        for key, shift, colour in (("precision", -0.2, _LIGHT), ("recall", 0.2, _DARK)):
            values = [getattr(row, key) or 0.0 for row in per_class.values()]
            axes.barh(places + shift, values, 0.36, color=colour, label=key)
        axes.set_yticks(places, names, **PLAIN)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.005)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.25)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        figure.savefig(path, dpi=_DPI)


def plot_reliability(bins: Sequence[Tenth], path: Path) -> None:
    """Draws how often answers of a probability are right, see `metrics.reliability`; a PNG file."""
    figure = Figure(figsize=(4.4, 4.2), layout="constrained")
    axes = figure.subplots()
    most = max(each.num_videos for each in bins)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for each in bins:
        place = each.confidence
        axes.plot([place, place], [place, each.accuracy], color=_LIGHT, linewidth=2)
    axes.scatter(
        [each.confidence for each in bins],
        [each.accuracy for each in bins],
        [20 + 180 * each.num_videos / most for each in bins],
        color=_DARK,
        zorder=3,
    )
    for each in bins:
        axes.annotate(
            f"{each.num_videos}",
            (each.confidence, each.accuracy),
            xytext=(-11, 8),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="0.35",
        )
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.06)
    plain_axes(axes, "probability of the answer", "share of right answers")
    figure.savefig(path, dpi=_DPI)


def plot_precision_recall(
    curves: Mapping[str, tuple[Floats, Floats]], colours: Mapping[str, str], path: Path
) -> None:
    """Draws precision against recall of each class, float (K,) each; a PNG file."""
    with any_script():
        rows = -(-len(curves) // 2)
        figure = Figure(figsize=(5.4, 4 + 0.19 * rows), layout="constrained")
        axes = figure.subplots()
        for name, (precision, recall) in curves.items():
            axes.plot(recall, precision, color=colours[name], label=_short(name))
        axes.set_xlim(0, 1.01)
        axes.set_ylim(0, 1.03)
        plain_axes(axes, "recall", "precision")
        look = {"ncols": 2, "frameon": False, "fontsize": 8}
        legend = figure.legend(handles=axes.lines, loc="outside lower left", **look)
        for text in legend.get_texts():
            text.set(**PLAIN)
        figure.savefig(path, dpi=_DPI)


def plot_lengths(lengths: Sequence[LengthScore], chance: float, path: Path) -> None:
    """Draws `top1` against `num_frames` in a clip, and chance; a PNG file."""
    figure = Figure(figsize=(4.4, 4.2), layout="constrained")
    axes = figure.subplots()
    frames = [each.num_frames for each in lengths]
    axes.plot(frames, [each.top1 for each in lengths], marker="o", color=_DARK)
    axes.axhline(chance, color="0.7", linestyle=":")
    axes.annotate("chance", (frames[-1], chance), xytext=(0, 4), textcoords="offset points",
                  ha="right", fontsize=8, color="0.35")  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(frames, map(str, frames))
    axes.minorticks_off()
    axes.set_ylim(0, 1.03)
    plain_axes(axes, "frames in a clip", "top-1, one clip a video")
    figure.savefig(path, dpi=_DPI)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"
