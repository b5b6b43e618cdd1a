"""Scores of what happens when: by frame and by segment, as in temporal action segmentation."""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """Edit score, 0 to 100, and F1, 0 to 1, of segments that overlap by 10, 25 and 50 %.

    F1 is over all recordings together, the edit score the mean over recordings.

    Source: Lea et al. (2017) for the F1, Lea et al. (2016) for the edit score.
    """

    edit: float
    f1_10: float
    f1_25: float
    f1_50: float


@dataclasses.dataclass(frozen=True)
class SegmentCounts:
    """Segments of human and machine, and how many match: they overlap by half or more."""

    human: int
    machine: int
    matched: int


@dataclasses.dataclass(frozen=True)
class Lateness:
    """How late the machine is where segments match, in seconds; None where none does."""

    median_absolute: float | None
    mean: float | None


@dataclasses.dataclass(frozen=True)
class RecordingF1:
    """F1 of the segments of a recording that overlap by half."""

    recording: str
    f1_50: float


@dataclasses.dataclass(frozen=True)
class SegmentScores(Overlaps):
    """Scores of the segments of recordings, in which several classes may hold at once.

    Attributes:
        with_background: The same with segments of the background.
        num_segments: How many there are.
        start_error_seconds: How late matches begin.
        end_error_seconds: How late they end.
        f1_50_by_recording: By name.
    """

    with_background: Overlaps
    num_segments: SegmentCounts
    start_error_seconds: Lateness
    end_error_seconds: Lateness
    f1_50_by_recording: Sequence[RecordingF1]


def segmental_scores(
    found: Sequence[Labels], true: Sequence[Labels], *, background: Collection[int] = ()
) -> Overlaps:
    """Edit score and F1 of segments.

    Args:
        found: The answer at each frame, int (N,), a recording each.
        true: The labels of the same frames.
        background: Labels whose segments do not count; their frames do.

    Example:
        >>> true = [np.array([0, 0, 0, 0, 1, 1, 1, 1])]
        >>> found = [np.array([0, 0, 0, 0, 0, 0, 0, 1])]
        >>> scores = segmental_scores(found, true)
        >>> scores.edit, scores.f1_25, scores.f1_50
        (100.0, 1.0, 0.5)
    """
    pairs = [
        (segments_of(answer, background), segments_of(label, background))
        for answer, label in zip(found, true, strict=True)
    ]
    return _overlaps(pairs)


def segment_scores(
    recordings: Sequence[Recording], *, background: int | None, exclusive: bool
) -> SegmentScores:
    """Scores of the segments of recordings, in which several classes may hold at once.

    Frames of which nothing is known are taken out first, so that what lies before and after them
    joins: they split no segment, neither of the person nor of the model.

    Args:
        recordings: Those of which nothing is known do not count.
        background: The class that is no event, if there is one: its segments do not count.
        exclusive: Whether classes exclude each other.

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
    machine, human = (sum(map(len, each)) for each in zip(*pairs, strict=True))
    return SegmentScores(
        **dataclasses.asdict(_overlaps(pairs)),
        with_background=_overlaps(whole),
        num_segments=SegmentCounts(human, machine, sum(map(len, matched))),
        start_error_seconds=_lateness(starts),
        end_error_seconds=_lateness(ends),
        f1_50_by_recording=[
            RecordingF1(recording.name, segment_f1([pair], 0.5))
            for recording, pair in zip(ordered, pairs, strict=True)
        ],
    )


def _without(background: int | None, *pair: Segments) -> Pair:
    found, true = (each[each[:, 0] != background] for each in pair)
    return found, true


def _overlaps(pairs: Sequence[Pair]) -> Overlaps:
    """Of the found and the true segments of each recording."""
    edit = float(np.mean([edit_score(*pair) for pair in pairs]))
    return Overlaps(edit, *(segment_f1(pairs, overlap) for overlap in OVERLAPS))


def _lateness(late: npt.NDArray[np.floating[Any]]) -> Lateness:
    if not len(late):
        return Lateness(None, None)
    return Lateness(float(np.median(np.abs(late))), float(np.mean(late)))


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
