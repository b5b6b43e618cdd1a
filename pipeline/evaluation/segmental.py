"""Scores of what happens when: by frame and by segment, as in temporal action segmentation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.recordings import Bools, Recording, judged

Labels = npt.NDArray[np.integer[Any]]
Segments = npt.NDArray[np.int64]
Pair = tuple[Segments, Segments]

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
        **_scores_of(pairs),
    }


def segment_scores(
    recordings: Sequence[Recording], *, background: int | None, exclusive: bool
) -> dict[str, Any]:
    """Scores of the segments of recordings, in which several classes may hold at once.

    Frames of which nothing is known are taken out first, so that what lies before and after them
    joins: they split no segment, neither of the person nor of the model.

    Args:
        recordings: Those of which nothing is known do not count.
        background: The class that is no event, if there is one: its segments do not count.
        exclusive: Whether classes exclude each other.

    Returns:
        `f1_10`, `f1_25`, `f1_50` and `edit`, see `segmental_scores`; the same `with_background`;
        `num_segments` of `human` and `machine`, and how many are `matched`: they overlap by half
        or more; of these, `start_error_seconds` and `end_error_seconds`, the `median_absolute` and
        the `mean`, which is positive where the model is late, None where nothing is matched;
        `f1_50_by_recording`, by name.

    Raises:
        DataError: Nothing is known of any frame.
    """
    ordered = judged(recordings, exclusive=exclusive)
    whole = [(segments_at_once(each.answers), segments_at_once(each.holds)) for each in ordered]
    pairs = [_without(background, *pair) for pair in whole]
    matched = [matches(*pair, 0.5) for pair in pairs]
    late = [
        (found[rows[:, 0], 1:] - true[rows[:, 1], 1:]) / recording.fps
        for recording, (found, true), rows in zip(ordered, pairs, matched, strict=True)
    ]
    starts, ends = np.concatenate(late).T
    return {
        **_scores_of(pairs),
        "with_background": _scores_of(whole),
        "num_segments": {
            "human": sum(len(true) for _, true in pairs),
            "machine": sum(len(found) for found, _ in pairs),
            "matched": sum(map(len, matched)),
        },
        "start_error_seconds": _error(starts),
        "end_error_seconds": _error(ends),
        "f1_50_by_recording": [
            {"recording": recording.name, "f1_50": segment_f1([pair], 0.5)}
            for recording, pair in zip(ordered, pairs, strict=True)
        ],
    }


def _without(background: int | None, *pair: Segments) -> Pair:
    found, true = (each[each[:, 0] != background] for each in pair)
    return found, true


def _scores_of(pairs: Sequence[Pair]) -> dict[str, float]:
    """Edit score and F1 of the found and the true segments of each recording."""
    return {
        "edit": float(np.mean([edit_score(*pair) for pair in pairs])),
        **{f"f1_{100 * overlap:.0f}": segment_f1(pairs, overlap) for overlap in OVERLAPS},
    }


def _error(late: npt.NDArray[np.floating[Any]]) -> dict[str, float | None]:
    if not len(late):
        return {"median_absolute": None, "mean": None}
    return {"median_absolute": float(np.median(np.abs(late))), "mean": float(np.mean(late))}


def segments_at_once(holds: Bools) -> Segments:
    """Runs of frames at which a class holds, int64 (S, 3), as `segments_of`, by their start.

    Args:
        holds: bool (N, C); segments of several classes may overlap.

    Example:
        >>> segments_at_once(np.array([[1, 0], [1, 1], [0, 1], [1, 0]], bool)).tolist()
        [[0, 0, 2], [1, 1, 3], [0, 3, 4]]
    """
    padded = np.pad(holds, ((1, 1), (0, 0)))
    classes, edges = np.nonzero((padded[1:] != padded[:-1]).T)
    segments = np.stack([classes[::2], edges[::2], edges[1::2]], axis=1).astype(np.int64)
    return segments[np.argsort(segments[:, 1], kind="stable")]


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


def segment_f1(pairs: Iterable[Pair], overlap: float) -> float:
    """F1 of segments over recordings, see `matches`; 1 where there are none at all.

    Args:
        pairs: The found and the true segments of each recording.
        overlap: From which on a segment is found.
    """
    hits = total = 0
    for found, true in pairs:
        hits += len(matches(found, true, overlap))
        total += len(found) + len(true)
    return 2 * hits / total if total else 1.0


def matches(found: Segments, true: Segments, overlap: float) -> Segments:
    """Rows of found segments and of the true ones that they find, int64 (M, 2).

    Args:
        found: Of which those of one label do not overlap.
        true: As well.
        overlap: Intersection over union with a true segment of its label from which on a segment
            is found, above 0 to 1; a true one is found once.
    """
    pairs: dict[int, int] = {}
    for label in np.intersect1d(found[:, 0], true[:, 0]):
        rows = np.flatnonzero(true[:, 0] == label)
        of_label = true[rows]
        for number in np.flatnonzero(found[:, 0] == label):
            place, share = _nearest(found[number], of_label)
            if share >= overlap:
                pairs.setdefault(int(rows[place]), int(number))
    return np.array([pair[::-1] for pair in pairs.items()], np.int64).reshape(-1, 2)


def _nearest(segment: Segments, true: Segments) -> tuple[int, float]:
    """The true one, of those of its label, that a segment overlaps most, and by how much."""
    _, start, end = segment
    first, last = np.searchsorted(true[:, 2], start, "right"), np.searchsorted(true[:, 1], end)
    if first >= last:
        return 0, 0.0
    near = true[first:last]
    both = np.minimum(end, near[:, 2]) - np.maximum(start, near[:, 1])
    either = np.maximum(end, near[:, 2]) - np.minimum(start, near[:, 1])
    best = int(np.argmax(both / either))
    return int(first) + best, float(both[best] / either[best])
