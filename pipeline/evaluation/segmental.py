"""Scores of what happens when: by frame and by segment, as in temporal action segmentation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]
Segments = npt.NDArray[np.int64]

OVERLAPS = (0.1, 0.25, 0.5)
"""Intersections over union from which on a segment counts as found."""


def segmental_scores(
    found: Sequence[Labels], true: Sequence[Labels], *, background: Collection[int] = ()
) -> dict[str, float]:
    """Accuracy by frame, edit score and F1 of segments.

    Args:
        found: The answer at each frame, int (N,), a recording each.
        true: The labels of the same frames.
        background: Labels whose segments do not count; their frames do.

    Returns:
        `accuracy`, `f1_10`, `f1_25` and `f1_50` from 0 to 1, over all recordings together; `edit`
        from 0 to 100, the mean over recordings.

    Source: Lea et al. (2017) for the F1, Lea et al. (2016) for the edit score.

    Example:
        >>> true = [np.array([0, 0, 0, 0, 1, 1, 1, 1])]
        >>> found = [np.array([0, 0, 0, 0, 0, 0, 0, 1])]
        >>> scores = segmental_scores(found, true)
        >>> scores["accuracy"], scores["edit"], scores["f1_25"], scores["f1_50"]
        (0.625, 100.0, 1.0, 0.5)
    """
    right = sum(int(np.sum(answer == label)) for answer, label in zip(found, true, strict=True))
    pairs = [
        (segments_of(answer, background), segments_of(label, background))
        for answer, label in zip(found, true, strict=True)
    ]
    return {
        "accuracy": right / sum(map(len, true)),
        "edit": float(np.mean([edit_score(*pair) for pair in pairs])),
        **{f"f1_{100 * overlap:.0f}": segment_f1(pairs, overlap) for overlap in OVERLAPS},
    }


def segments_of(labels: Labels, background: Collection[int] = ()) -> Segments:
    """Runs of one label, int64 (S, 3): label, first frame, and the frame after the last."""
    if not len(labels):
        return np.empty((0, 3), np.int64)
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    ends = np.append(starts[1:], len(labels))
    segments = np.stack([labels[starts], starts, ends], axis=1).astype(np.int64)
    return segments[~np.isin(segments[:, 0], list(background))]


def edit_score(found: Segments, true: Segments) -> float:
    """Agreement of the order of segments, whatever their lengths, from 0 to 100.

    It is 100 less the share of labels that must be put in, taken out or replaced.
    """
    longest = max(len(found), len(true))
    if not longest:
        return 100.0
    columns = np.arange(len(true) + 1)
    distances = columns
    for number, label in enumerate(found[:, 0], 1):
        kept = distances[:-1] + (true[:, 0] != label)
        row = np.append(number, np.minimum(distances[1:] + 1, kept))
        # One more on the left costs 1 a step: the cheapest start of all on the left.
        distances = np.minimum.accumulate(row - columns) + columns
    return float(100 * (1 - distances[-1] / longest))


def segment_f1(pairs: Iterable[tuple[Segments, Segments]], overlap: float) -> float:
    """F1 of segments over recordings.

    Args:
        pairs: The found and the true segments of each recording.
        overlap: Intersection over union with a true segment of its label from which on a segment
            is found, above 0 to 1; a true one is found once.
    """
    hits = total = 0
    for found, true in pairs:
        hits += len(set(_hits(found, true, overlap)))
        total += len(found) + len(true)
    return 2 * hits / total if total else 1.0


def _hits(found: Segments, true: Segments, overlap: float) -> Iterator[int]:
    """The true segment that each found one overlaps most, where it does so enough."""
    for label, start, end in found:
        first, last = np.searchsorted(true[:, 2], start, "right"), np.searchsorted(true[:, 1], end)
        near = true[first:last]
        both = np.minimum(end, near[:, 2]) - np.maximum(start, near[:, 1])
        either = np.maximum(end, near[:, 2]) - np.minimum(start, near[:, 1])
        shares = np.where(near[:, 0] == label, both / either, 0.0)
        if len(shares) and shares.max() >= overlap:
            yield int(first + shares.argmax())
