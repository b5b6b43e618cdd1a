"""Bouts: stretches of frames at which a class holds, none of them too short to be meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


def runs_of(holds: Bools) -> Ints:
    """First frame and frame after the last of each stretch at which a class holds, int64 (R, 2).

    Args:
        holds: bool (N,).

    Example:
        >>> runs_of(np.array([True, True, False, True])).tolist()
        [[0, 2], [3, 4]]
    """
    borders = np.flatnonzero(np.diff(holds.astype(np.int8), prepend=0, append=0))
    return borders.reshape(-1, 2).astype(np.int64)


def without_short(holds: Bools, least: Ints, gap: Ints) -> Bools:
    """Answers of classes that may hold at once, without short gaps and then without short bouts.

    Args:
        holds: bool (N, C).
        least: Frames of a bout of each class, at least, int (C,).
        gap: Frames between two of its bouts, at least, int (C,).
    """
    kept = holds.copy()
    for column, shortest, closest in zip(kept.T, least, gap, strict=True):
        for start, end in runs_of(~column):
            if start > 0 and end < len(column) and end - start < closest:
                column[start:end] = True
        for start, end in runs_of(column):
            if end - start < shortest:
                column[start:end] = False
    return kept


def without_short_exclusive(holds: Bools, probabilities: Floats, least: Ints) -> Bools:
    """The same of classes of which one holds at each frame: a short bout goes to a neighbour.

    The shortest comes first, and goes to the one of its two neighbours that is more probable in it.

    Args:
        holds: bool (N, C), one class at each frame.
        probabilities: float (N, C).
        least: Frames of a bout of each class, at least, int (C,).
    """
    labels = holds.argmax(axis=1)
    while True:
        starts = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1))
        ends = np.append(starts[1:], len(labels))
        missing = least[labels[starts]] - (ends - starts)
        short = np.flatnonzero(missing > 0)
        if not len(short) or len(starts) == 1:
            return np.asarray(labels[:, None] == np.arange(holds.shape[1]))
        run = short[np.argmin((ends - starts)[short])]
        inside = probabilities[starts[run] : ends[run]].mean(axis=0)
        around = [labels[starts[each]] for each in (run - 1, run + 1) if 0 <= each < len(starts)]
        labels[starts[run] : ends[run]] = max(around, key=lambda label: inside[label])


def usual_bounds(labels: list[npt.NDArray[np.uint8]], num_classes: int) -> tuple[Ints, Ints]:
    """How short bouts of each class, and gaps between them, may be: half of nearly all marked ones.

    Args:
        labels: Of each recording, uint8 (N, C), 1 where a class holds.
        num_classes: C.

    Returns:
        Frames of a bout and of a gap, at least, int64 (C,) each: half of the 5th percentile; 1
        where there are none.
    """
    bounds = np.ones((2, num_classes), np.int64)
    for number in range(num_classes):
        runs = [runs_of(each[:, number] == 1) for each in labels]
        lengths = np.concatenate([run[:, 1] - run[:, 0] for run in runs])
        gaps = np.concatenate([run[1:, 0] - run[:-1, 1] for run in runs])
        for row, values in zip(bounds, (lengths, gaps), strict=True):
            if len(values):
                row[number] = max(1, int(np.percentile(values, 5) / 2))
    return bounds[0], bounds[1]
