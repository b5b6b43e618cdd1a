"""Pictures of what a model finds in a video."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.figures import PLAIN, any_script, class_colours
from pipeline.manifest.class_names import UNKNOWN

if TYPE_CHECKING:
    from pipeline.inference.timeline import Timeline

_DPI = 120
_GREY = "0.8"
_MOST_CLASSES = 20


def colours_of(class_names: tuple[str, ...]) -> dict[str, Any]:
    """A colour for each class, and grey for what is unknown."""
    return {**class_colours(class_names), UNKNOWN: _GREY}


def draw_timeline(timeline: Timeline) -> bytes:
    """Draws the segments of a video, and below them how probable each class is over time.

    Returns:
        The bytes of a PNG file.
    """
    names = _shown(timeline)
    colours = colours_of(timeline.class_names)
    with any_script():
        figure = Figure(figsize=(12, 1.6 + 0.36 * len(names)), layout="constrained")
        above, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[1, max(1.5, 0.45 * len(names))]
        )
        _draw_segments(above, timeline, colours)
        rows = [timeline.class_names.index(name) for name in names]
        image = below.pcolormesh(
            timeline.curve.edges,
            np.arange(len(names) + 1),
            timeline.curve.probabilities[:, rows].T,
            cmap="Blues",
            vmin=0,
            vmax=1,
        )
        below.set_yticks(np.arange(len(names)) + 0.5, names, **PLAIN)
        below.invert_yaxis()
        below.set_xlabel("seconds")
        figure.colorbar(image, ax=below, label="probability", pad=0.01)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=_DPI)
    return buffer.getvalue()


def _shown(timeline: Timeline) -> list[str]:
    """All classes or, where they are many, those that are the most probable ones at some time."""
    highest = timeline.curve.probabilities.max(axis=0)
    chosen = np.sort(np.argsort(-highest, kind="stable")[:_MOST_CLASSES])
    return [timeline.class_names[number] for number in chosen]


def _draw_segments(axes: Any, timeline: Timeline, colours: dict[str, Any]) -> None:
    whole = timeline.segments[-1].end_seconds
    for segment in timeline.segments:
        length = segment.end_seconds - segment.start_seconds
        colour = colours[segment.label]
        axes.barh(0, length, left=segment.start_seconds, color=colour, edgecolor="white")
        if length > whole * 0.011 * len(segment.label):
            middle = segment.start_seconds + length / 2
            axes.text(middle, 0, segment.label, ha="center", va="center", fontsize=8, **PLAIN)
    axes.set_xlim(0, whole)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(timeline.path, loc="left", fontsize=10, **PLAIN)
