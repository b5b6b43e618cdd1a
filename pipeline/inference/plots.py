"""Pictures of what a model finds in a video."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from pipeline.figures import PLAIN, any_script, class_colours
from pipeline.manifest.class_names import UNKNOWN
from pipeline.text import clock

if TYPE_CHECKING:
    from pipeline.inference.segments import Curve
    from pipeline.inference.timeline import Timeline

Floats = npt.NDArray[np.floating[Any]]

_DPI = 120
_GREY = "0.8"
_MOST_CLASSES = 20
_MOST_POINTS = 1500
_BAR = 0.85  # of the height of a row


def colours_of(class_names: tuple[str, ...]) -> dict[str, Any]:
    """A colour for each class, and grey for what is unknown."""
    return {**class_colours(class_names), UNKNOWN: _GREY}


def draw_timeline(timeline: Timeline) -> bytes:
    """Draws a row for each class: bars where it holds, and over them how probable it is.

    Returns:
        The bytes of a PNG file.
    """
    names = _shown(timeline)
    colours = colours_of(timeline.class_names)
    with any_script():
        figure = Figure(figsize=(12, 1 + 0.38 * len(names)), layout="constrained")
        axes = figure.subplots()
        for row, name in enumerate(names):
            spans = [
                (each.start_seconds, each.end_seconds - each.start_seconds)
                for each in timeline.segments
                if each.label == name
            ]
            axes.broken_barh(spans, (row, _BAR), color=colours[name], linewidth=0.5)
            if name in timeline.class_names:
                seconds, shares = _coarse(timeline.curve, timeline.class_names.index(name))
                axes.plot(seconds, row + _BAR * (1 - shares), color="0.25", linewidth=0.7)
        whole = timeline.info.duration_seconds
        axes.set_xlim(0, whole)
        axes.set_ylim(len(names), _BAR - 1)
        axes.set_yticks(np.arange(len(names)) + _BAR / 2, names, **PLAIN)
        axes.tick_params("y", length=0)
        axes.xaxis.set_major_locator(MultipleLocator(_tick_seconds(whole)))
        axes.xaxis.set_major_formatter(lambda seconds, _: clock(seconds).removesuffix(".0"))
        axes.grid(axis="x", alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_title(timeline.path, loc="left", fontsize=10, **PLAIN)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=_DPI)
    return buffer.getvalue()


def _shown(timeline: Timeline) -> list[str]:
    """All classes or, where they are many, those that are the most probable ones at some time."""
    highest = timeline.curve.probabilities.max(axis=0)
    names = [name for name in timeline.class_names if name != timeline.background]
    ranked = sorted(names, key=lambda name: -highest[timeline.class_names.index(name)])
    chosen = {*ranked[:_MOST_CLASSES]}
    has_unknown = any(segment.label == UNKNOWN for segment in timeline.segments)
    return [name for name in names if name in chosen] + [UNKNOWN] * has_unknown


def _coarse(curve: Curve, number: int) -> tuple[Floats, Floats]:
    """Times and the highest probabilities of a class around them, no more than are seen."""
    shares = curve.probabilities[:, number]
    starts = np.unique(np.linspace(0, len(shares) - 1, _MOST_POINTS).astype(int))
    return (starts + 0.5) * curve.cell_seconds, np.maximum.reduceat(shares, starts)


def _tick_seconds(seconds: float) -> float:
    """From tick to tick: a round time, such that there are 10 of them at most."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    return next((step for step in steps if seconds <= 10 * step), seconds / 10)
