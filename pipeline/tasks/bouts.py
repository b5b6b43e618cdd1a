"""Bouts: stretches of frames at which a class holds, none of them too short to be meant."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


def runs_of(holds: Bools) -> Ints:
    """First frame and frame after the last of each stretch at which a class holds, int64 (R, 2).

    Args:
        holds: bool (N,).

    Example:
        >>> runs_of(np.array([True, True, False, True])).tolist()
        [[0, 2], [3, 4]]
    """
    borders = np.flatnonzero(np.diff(np.pad(holds.astype(np.int8), 1)))
    return borders.reshape(-1, 2).astype(np.int64)


def without_short(runs: Ints, least: int, gap: int) -> Ints:
    """Bouts of a class without short gaps and then without short bouts.

    Args:
        runs: See `runs_of`, int64 (R, 2).
        least: Frames of a bout, at least.
        gap: Frames between two of them, at least.

    Example:
        >>> without_short(np.array([[0, 2], [3, 5], [9, 10]]), least=2, gap=2).tolist()
        [[0, 5]]
    """
    if not len(runs):
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= gap
    joined = np.stack([runs[np.append(True, apart), 0], runs[np.append(apart, True), 1]], axis=1)
    return joined[joined[:, 1] - joined[:, 0] >= least]


def without_short_exclusive(labels: Ints, probabilities: Floats, least: Ints) -> Ints:
    """The class of each frame without short bouts: each goes to a neighbour.

    The shortest comes first, and goes to the one of its two neighbours that is more probable in it.

    Args:
        labels: int (N,), from 0 to C - 1, or -1 for none, which is no more probable than 0.
        probabilities: float (N, C).
        least: Frames of a bout, at least, int (C + 1,): of each class, and of none.
    """
    labels = labels.copy()
    borders = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    ends = dict(itertools.pairwise(borders))
    starts = {end: first for first, end in ends.items()}
    waiting = [
        (end - first, first, end)
        for first, end in ends.items()
        if end - first < least[labels[first]]
    ]
    heapq.heapify(waiting)
    while waiting and len(ends) > 1:
        _, first, end = heapq.heappop(waiting)
        if ends.get(first) != end:
            continue  # It has grown since.
        around = [int(labels[each]) for each in (first - 1, end) if 0 <= each < len(labels)]
        inside = np.append(probabilities[first:end].mean(axis=0), 0.0)
        label = max(around, key=lambda each: inside[each])
        labels[first:end] = label
        del ends[first], starts[end]
        if first in starts and labels[first - 1] == label:
            first = starts.pop(first)
            del ends[first]
        if end in ends and labels[end] == label:
            end = ends.pop(end)
            del starts[end]
        ends[first], starts[end] = end, first
        if end - first < least[label]:
            heapq.heappush(waiting, (end - first, first, end))
    return labels


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
