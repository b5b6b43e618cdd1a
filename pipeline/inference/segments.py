"""From the logits of windows to who does what from when to when."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.inference.windows import Window
from pipeline.manifest.class_names import UNKNOWN
from pipeline.tasks.bouts import without_short_exclusive
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.task import Task

Floats = npt.NDArray[np.floating[Any]]

_NONE = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A part of a video in which one thing happens.

    Attributes:
        start_seconds: Where it starts.
        end_seconds: Where it ends.
        label: A class, or `unknown`.
        probability: Mean probability of the class within it; for `unknown`, of the most probable.
        max_logit: Mean of the highest logits within it, see `Task.score`.
    """

    start_seconds: float
    end_seconds: float
    label: str
    probability: float
    max_logit: float

    def __str__(self) -> str:
        return answer_text(self.label, self.probability)


def answer_text(label: str, probability: float) -> str:
    """A class with its probability; `unknown` alone, which the probability says nothing of.

    Example:
        >>> answer_text("wave", 0.9), answer_text("unknown", 0.9)
        ('wave 0.90', 'unknown')
    """
    return label if label == UNKNOWN else f"{label} {probability:.2f}"


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Probabilities of the classes over time, in N cells of one length.

    Attributes:
        cell_seconds: Length of a cell, above 0.
        duration_seconds: Where the last one ends, which may be shorter.
        probabilities: float (N, C).
        scores: float (N,), the highest of a window, or that of a frame, see `Task.score`.
    """

    cell_seconds: float
    duration_seconds: float
    probabilities: npt.NDArray[np.floating[Any]]
    scores: npt.NDArray[np.floating[Any]]

    def seconds(self, cell: int) -> float:
        """Where a cell begins; of N, where the last one ends."""
        is_end = cell == len(self.probabilities)
        return (
            self.duration_seconds
            if is_end
            else min(cell * self.cell_seconds, self.duration_seconds)
        )

    def cells(self, seconds: float) -> int:
        """How many cells it takes to last so long."""
        return math.ceil(seconds / self.cell_seconds - 1e-9)


def smooth(
    windows: Sequence[Window], cell_seconds: float, duration_seconds: float, task: Task
) -> tuple[Floats, Floats]:
    """Averages the logits of the windows that a time lies in; the nearer its middle, the more.

    The score is that of the window that has the highest: one that an action fills has as high a one
    as a video of it, those around that show half of it and half of another have low ones.

    Args:
        windows: At least one, in their order, of one length.
        cell_seconds: Length of a cell, above 0; the last one ends with the video.
        duration_seconds: Length of the video, above 0.
        task: Of the run.

    Returns:
        Of each cell, logits, float64 (N, C), and the score, float64 (N,).
    """
    num_cells = max(1, int(np.ceil(duration_seconds / cell_seconds - 1e-6)))
    edges = np.minimum(np.arange(num_cells + 1) * cell_seconds, duration_seconds)
    centres = (edges[1:] + edges[:-1]) / 2
    starts = np.array([window.start_seconds for window in windows])
    ends = np.array([window.end_seconds for window in windows])
    logits = np.stack([window.logits for window in windows])
    middle, half = (starts + ends) / 2, (ends - starts) / 2
    smoothed, most = np.empty((num_cells, logits.shape[1])), np.empty(num_cells)
    # Those that hold the centre and one to either side, since there may be none: the last cell
    # may lie past the last window, whose frames are on a grid.
    firsts = np.maximum(np.searchsorted(ends, centres, side="right") - 1, 0)
    lasts = np.searchsorted(starts, centres, side="left")
    for number, (centre, first, last) in enumerate(zip(centres, firsts, lasts, strict=True)):
        near = slice(first, last + 1)
        nearness = 1 - np.abs(centre - middle[near]) / half[near]
        weights = np.maximum(nearness, 0)
        if not weights.any():
            weights[np.argmax(nearness)] = 1
        smoothed[number] = weights @ logits[near] / weights.sum()
        most[number] = task.score(logits[near][weights > 0]).max()
    return smoothed, most


def find_segments(
    curve: Curve,
    class_names: Sequence[str],
    calibration: Calibration,
    *,
    hysteresis: float = 0.1,
    shortest_seconds: float = 0.0,
) -> list[Segment]:
    """Cuts a video into segments of one label each, which lie end to end.

    Args:
        curve: How probable each class is over time.
        class_names: C names.
        calibration: Of the run: below its threshold a time is `unknown`.
        hysteresis: By how much another class must be more probable than the one before it, 0 to 1.
            To leave `unknown` takes a score that is higher by what would make one of two classes
            that much more probable than the other.
        shortest_seconds: A shorter segment goes to its more probable neighbour.
    """
    least = np.full(len(class_names) + 1, curve.cells(shortest_seconds))
    followed = _follow(curve, calibration, hysteresis)
    labels = without_short_exclusive(followed, curve.probabilities, least)
    return [_segment(curve, first, end, labels[first], class_names) for first, end in _runs(labels)]


def segments_of_bouts(
    bouts: Iterable[npt.NDArray[np.integer[Any]]],
    curve: Curve,
    class_names: Sequence[str],
    background: str = "",
) -> list[Segment]:
    """Segments of classes of which several or none may hold at a time, by their start.

    Args:
        bouts: Of each class, the first cell and the cell after the last of each, int (R, 2).
        curve: How probable each class is over time.
        class_names: C names.
        background: The class of what is no event: it has no segments.
    """
    found = [
        _segment(curve, first, end, number, class_names)
        for number, of_class in enumerate(bouts)
        for first, end in of_class.tolist()
        if class_names[number] != background
    ]
    return sorted(found, key=lambda segment: segment.start_seconds)


def cues(segments: Iterable[Segment]) -> Iterator[tuple[float, float, tuple[Segment, ...]]]:
    """Yields from when to when the same segments hold, and which; there are some.

    Example:
        >>> both = Segment(0.0, 2.0, "walk", 1.0, 5.0), Segment(1.0, 3.0, "wave", 1.0, 5.0)
        >>> [(start, end, len(holding)) for start, end, holding in cues(both)]
        [(0.0, 1.0, 1), (1.0, 2.0, 2), (2.0, 3.0, 1)]
    """
    coming = deque(sorted(segments, key=lambda segment: segment.start_seconds))
    borders = {time for each in coming for time in (each.start_seconds, each.end_seconds)}
    holding: list[Segment] = []
    for start, end in itertools.pairwise(sorted(borders)):
        holding = [each for each in holding if each.end_seconds > start]
        while coming and coming[0].start_seconds <= start:
            holding.append(coming.popleft())
        if holding:
            yield start, end, tuple(holding)


def _segment(
    curve: Curve, first: int, end: int, number: int, class_names: Sequence[str]
) -> Segment:
    """A segment from a cell up to another one, of a class or of `_NONE`."""
    inside = curve.probabilities[first:end]
    of_label = inside.max(axis=1) if number == _NONE else inside[:, number]
    return Segment(
        start_seconds=curve.seconds(first),
        end_seconds=curve.seconds(end),
        label=UNKNOWN if number == _NONE else class_names[number],
        probability=float(of_label.mean()),
        max_logit=float(curve.scores[first:end].mean()),
    )


def _follow(curve: Curve, calibration: Calibration, hysteresis: float) -> npt.NDArray[np.int64]:
    """The class of each cell (N,), which changes only for one that is clearly more probable."""
    # The distance of two logits whose probabilities are that far apart.
    more = 2 * calibration.temperature * math.atanh(hysteresis) if hysteresis < 1 else math.inf
    threshold, to_leave = calibration.limit, calibration.limit + more
    label, enough = _NONE, threshold
    labels = []
    for row, found in zip(curve.probabilities, curve.scores, strict=True):
        best = int(row.argmax())
        if found < enough:
            label, enough = _NONE, to_leave
        elif label == _NONE or row[best] > row[label] + hysteresis:
            label, enough = best, threshold
        labels.append(label)
    return np.array(labels, np.int64)


def _runs(labels: npt.NDArray[np.integer[Any]]) -> list[tuple[int, int]]:
    """First cell and end of each stretch of one label."""
    borders = np.flatnonzero(np.diff(labels)) + 1
    return list(zip([0, *borders.tolist()], [*borders.tolist(), len(labels)], strict=True))
