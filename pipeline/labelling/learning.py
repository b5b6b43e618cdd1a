"""What the labels so far are good for: proposals, what to label next, the score to expect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.evaluation.segmental import segment_f1, segments_at_once
from pipeline.labelling.choice import Stretch, next_stretches
from pipeline.labelling.head import Described, Head, fit_head
from pipeline.manifest.annotation import IGNORED_LABEL, Annotation
from pipeline.video.descriptors import FPS

_MOST_NEXT: Final = 20
_OVERLAP: Final = 0.5
_SHARES: Final = (0.125, 0.25, 0.5, 1.0)
_MOST_FOLDS: Final = 5
_MOST_CELLS: Final = 3000
_EVENTS_A_STRETCH: Final = 3.5
_SHORTEST, _LONGEST = 4.0, 30.0
_CHUNK_SECONDS: Final = 6.0


class Proposal(NamedTuple):
    """An event that is proposed for a recording.

    Attributes:
        start: Seconds from the first frame on.
        end: Where it ends.
        label: Class name.
        probability: Mean probability of the class within it.
    """

    start: float
    end: float
    label: str
    probability: float


class Lesson(NamedTuple):
    """What was learnt of some labels.

    Attributes:
        proposals: By the name of the recording, in order of time.
        stretches: What to look at next, the most useful first.
    """

    proposals: dict[str, list[Proposal]]
    stretches: list[Stretch]


class Point(NamedTuple):
    """What comes of a number of labels.

    Attributes:
        events: Events that a head was fitted to, on average.
        f1_50: F1 of segments that overlap by half, in recordings that it was not fitted to.
    """

    events: float
    f1_50: float


# Matrices this small are done sooner by one thread than by several beside other work.
@threadpool_limits.wrap(limits=1)
def learn(recordings: Sequence[Described]) -> Lesson:
    """Fits a head to what is known, and asks it about all recordings.

    Args:
        recordings: All of them; nothing need be known of any.
    """
    head = head_of(recordings)
    stretches = next_stretches(recordings, head, seconds=usual_seconds(recordings), most=_MOST_NEXT)
    proposals = {each.name: _proposed(each, head) for each in recordings} if head else {}
    return Lesson(proposals, stretches)


def head_of(recordings: Sequence[Described], **options: int) -> Head | None:
    """A head, see `fit_head`, for all classes of which something tells them apart; None: for none.

    That is where they were marked, and where they are known not to happen.
    """
    known = [each for each in recordings if each.annotation]
    marked = class_names_of(known)
    if not marked:
        return None
    labels = np.concatenate([each.labels(marked) for each in known])
    is_told = (labels == 1).any(axis=0) & (labels == 0).any(axis=0)
    names = [name for name, told in zip(marked, is_told, strict=True) if told]
    return fit_head(known, names, **options) if names else None


def class_names_of(recordings: Iterable[Described]) -> list[str]:
    """The classes that were marked, sorted."""
    return sorted({label for each in recordings for _, _, label in each.events})


def usual_seconds(recordings: Iterable[Described]) -> float:
    """How long a stretch is best: a few events."""
    spans = (event for each in recordings for event in each.events)
    lengths = [end - start for start, end, _ in spans if end > start]
    usual = float(np.median(lengths)) if lengths else 0.0
    return float(np.clip(_EVENTS_A_STRETCH * usual, _SHORTEST, _LONGEST))


@threadpool_limits.wrap(limits=1)
def learning_curve(recordings: Sequence[Described], *, seed: int = 0) -> list[Point]:
    """The score to expect with a part of the labels, and with all of them.

    Recordings are left out in turn, in at most five folds. What is known of the others is cut into
    stretches, of which a part is taken by chance.

    Args:
        recordings: Those count that were watched, as a whole or in part.
        seed: Of the folds and of the parts.

    Returns:
        Points, the last one of all labels; none with fewer than two recordings or no event.
    """
    known = [each for each in recordings if each.is_watched().any()]
    names = class_names_of(known)
    if len(known) < 2 or not names:
        return []
    random = np.random.default_rng(seed)
    folds = np.array_split(random.permutation(len(known)), min(len(known), _MOST_FOLDS))
    ranks = [random.random(_num_chunks(each)) for each in known]
    return [_point(known, folds, ranks, share, names) for share in _SHARES]


def score(head: Head | None, recordings: Sequence[Described], class_names: Sequence[str]) -> float:
    """F1 of segments that overlap by half, where all is known of recordings, 0 to 1."""
    pairs = []
    for recording in recordings:
        labels = recording.labels(class_names)
        found = np.zeros(labels.shape, np.bool_)
        for bout in head.bouts(head.probabilities(recording.descriptors)) if head else ():
            found[bout.first : bout.end, class_names.index(bout.label)] = True
        known = (labels != IGNORED_LABEL).all(axis=1)
        pairs.append((segments_at_once(found[known]), segments_at_once(labels[known] == 1)))
    return segment_f1(pairs, _OVERLAP)


def _point(
    known: Sequence[Described],
    folds: Sequence[np.ndarray],
    ranks: Sequence[np.ndarray],
    share: float,
    names: Sequence[str],
) -> Point:
    events, scores, weights = [], [], []
    for fold in folds:
        held_out = [known[number] for number in fold]
        rest = [number for number in range(len(known)) if number not in fold]
        parts = [_part(known[number], ranks[number] < share) for number in rest]
        head = head_of(parts, most_cells=_MOST_CELLS)
        events.append(sum(len(each.events) for each in parts))
        scores.append(score(head, held_out, names))
        weights.append(sum(len(each.events) for each in held_out) + 1)
    return Point(float(np.mean(events)), float(np.average(scores, weights=weights)))


def _num_chunks(recording: Described) -> int:
    return int(len(recording.descriptors) / FPS / _CHUNK_SECONDS) + 1


def _part(recording: Described, is_kept: np.ndarray) -> Described:
    """A recording of which only what is known in some of its chunks is known."""
    marks = recording.annotation
    if marks is None:
        return recording
    chunks = [(start, start + _CHUNK_SECONDS) for start in np.flatnonzero(is_kept) * _CHUNK_SECONDS]
    watched = ((0.0, len(recording.descriptors) / FPS),) if marks.known is None else marks.known
    spans = [
        (max(start, first), min(end, last))
        for start, end in watched
        for first, last in chunks
        if start < last and end > first
    ]
    events, known_of = (
        tuple(
            each
            for each in found
            if any(each[0] < last and each[1] > first for first, last in chunks)
        )
        for found in (marks.events, marks.known_of)
    )
    if marks.known is None:  # All that is around an event is known.
        spans += [event[:2] for event in events]
    return recording._replace(
        annotation=Annotation(events=events, known=tuple(spans), known_of=known_of)
    )


def _proposed(recording: Described, head: Head) -> list[Proposal]:
    bouts = head.bouts(head.probabilities(recording.descriptors))
    return sorted(
        Proposal(each.first / FPS, each.end / FPS, each.label, each.probability) for each in bouts
    )
