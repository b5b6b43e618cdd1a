"""What evaluation found, for people: plots and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from pipeline.figures import any_script
from pipeline.text import counted

_CAUTION = {
    "train": ["these videos were trained on: the figures say nothing about new ones"],
    "val": ["these videos chose the epoch that was kept: on new ones expect a little less"],
}


def plot_confusion(counts: npt.NDArray[np.int64], class_names: Sequence[str], path: Path) -> None:
    """Draws a confusion matrix: shade is the share of the true class, number is the count.

    Args:
        counts: int64 (C, C), row is the true class, column the answer.
        class_names: C names.
        path: The PNG file to write.
    """
    with any_script():
        _confusion_figure(counts, class_names).savefig(path, dpi=120)


def _confusion_figure(counts: npt.NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.42 * len(class_names)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(class_names))
    class_names = [name if len(name) <= 40 else f"{name[:39]}…" for name in class_names]
    plain = {"parse_math": False}  # A name may hold dollar signs.
    axes.set_xticks(ticks, class_names, rotation=45, ha="right", rotation_mode="anchor", **plain)
    axes.set_yticks(ticks, class_names, **plain)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    if len(class_names) <= 30:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def format_metrics(result: dict[str, Any], split: str) -> str:
    """What `evaluate` returns, as text for a terminal."""
    views = result["num_views"]
    clips = f"{counted(views, 'clip')} a video"
    videos, groups = counted(result["num_videos"], "video"), counted(result["num_groups"], "group")
    lines = [
        f"{split}: {videos} of {groups}, {clips}",
        *_CAUTION.get(split, []),
        *_leak_lines(result.get("leaks", [])),
        f"video  {_accuracy(result['video'])}   chance {result['chance']:.3f}",
        f"clip   {_accuracy(result['clip'])}",
        "",
        *_class_table(result["per_class"]),
        "",
        *_order_lines(result["order"]),
    ]
    return "\n".join(lines)


def _leak_lines(leaks: Sequence[str]) -> list[str]:
    if not leaks:
        return []
    count = counted(len(leaks), "leak")
    return [f"these figures are not to be believed: {count} between splits, such as: {leaks[0]}"]


def _accuracy(values: dict[str, Any]) -> str:
    text = f"top-1 {values['top1']:.3f}"
    if values.get("top1_interval95"):
        low, high = values["top1_interval95"]
        text += f" (95 % interval over groups {low:.3f} to {high:.3f})"
    return f"{text}   top-5 {values['top5']:.3f}"


def _class_table(per_class: dict[str, dict[str, Any]]) -> list[str]:
    width = max(len("class"), *map(len, per_class))
    lines = [f"{'class':{width}}  videos  precision  recall     F1"]
    for name, row in per_class.items():
        numbers = "  ".join(
            f"{'–' if row[key] is None else format(row[key], '.3f'):>{width_of}}"
            for key, width_of in (("precision", 9), ("recall", 6), ("f1", 5))
        )
        lines.append(f"{name:{width}}  {row['num_videos']:6d}  {numbers}")
    return lines


def _order_lines(order: dict[str, Any]) -> list[str]:
    shown = "   ".join(f"{key.replace('_', ' ')} {order[key]:.3f}" for key in list(order)[:3])
    lines = [f"top-1 with the frames {shown}"]
    if "pairs" in order:
        pairs = order["pairs"]
        two_way = "   ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in pairs["two_way"].items())
        lines += [
            f"order pairs ({pairs['num_videos']} videos): which of the two, {two_way}",
            f"reversing the frames gives the partner action for {pairs['reversed_to_partner']:.3f}",
        ]
    return lines
