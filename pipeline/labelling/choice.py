"""Which stretches of recordings to look at next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.labelling.head import Described, Head
from pipeline.video.descriptors import FPS

Floats = npt.NDArray[np.floating]

_MOST_KNOWN: Final = 0.25
_STEPS: Final = 2
_SAME_RECORDING: Final = 0.5
_OVERLAP_SECONDS: Final = 0.05


class Stretch(NamedTuple):
    """A part of a recording.

    Attributes:
        recording: Its name.
        start: Seconds from its first frame on.
        end: Where it ends.
    """

    recording: str
    start: float
    end: float


class Candidates(NamedTuple):
    """Stretches of one length that may be looked at, N of them.

    Attributes:
        stretches: Where they are.
        unsure: How unsure the head is in each, 0 to 1, float (N,).
        looks: What each looks like, float32 (N, D), at a length of 1.
    """

    stretches: list[Stretch]
    unsure: Floats
    looks: Floats


def next_stretches(
    recordings: Sequence[Described], head: Head | None, *, seconds: float, most: int
) -> list[Stretch]:
    """Stretches that nobody watched yet, those first from which a head learns most.

    The head is unsure where the probability of a class is near a half. Of two such stretches that
    look alike, or are of one recording, the second counts less.

    Args:
        recordings: All of them.
        head: Fitted to what is known; None: nothing is, and they are spread over all that is there.
        seconds: Length of each, above 0.
        most: How many, at most.

    Source: margin (Scheffer et al., 2001), weighted by the distance to what is chosen already, as
    in core-sets (Sener and Savarese, 2018).
    """
    candidates = _candidates(recordings, head, seconds)
    return [candidates.stretches[place] for place in _spread(candidates, most)]


def unwatched(recordings: Sequence[Described], seconds: float) -> list[Stretch]:
    """All stretches of a length that nobody watched yet; each overlaps the next by half."""
    return _candidates(recordings, None, seconds).stretches


def similar_stretches(
    recordings: Sequence[Described], example: Stretch, *, most: int
) -> list[Stretch]:
    """Stretches that nobody watched yet and that look like one, the likest first.

    Args:
        recordings: All of them, that of the example included.
        example: What to look for; those found are as long.
        most: How many, at most.
    """
    mean, scale = _measure(recordings)
    shown = next(each for each in recordings if each.name == example.recording)
    count = len(shown.descriptors)
    first = min(int(example.start * FPS), count - 1)
    end = min(max(first + 1, round(example.end * FPS)), count)
    wanted = _looks((np.asarray(shown.descriptors[first:end], np.float32) - mean) / scale)
    candidates = _candidates(recordings, None, (end - first) / FPS)
    if not candidates.stretches:
        return []
    likeness = candidates.looks @ wanted
    found: list[Stretch] = []
    for place in np.argsort(-likeness, kind="stable"):
        stretch = candidates.stretches[place]
        if len(found) < most and not any(_overlap(stretch, each) for each in (*found, example)):
            found.append(stretch)
    return found


def _candidates(recordings: Sequence[Described], head: Head | None, seconds: float) -> Candidates:
    mean, scale = _measure(recordings)
    stretches: list[Stretch] = []
    unsure: list[float] = []
    looks: list[Floats] = []
    for recording in recordings:
        known, doubt = recording.is_watched(), _doubt(recording, head)
        values = (np.asarray(recording.descriptors, np.float32) - mean) / scale
        for first, end in _windows(len(known), max(1, round(seconds * FPS))):
            if known[first:end].mean() <= _MOST_KNOWN:
                stretches.append(Stretch(recording.name, first / FPS, end / FPS))
                unsure.append(float(doubt[first:end].mean()))
                looks.append(_looks(values[first:end]))
    return Candidates(stretches, np.array(unsure), np.array(looks))


def _windows(count: int, length: int) -> list[tuple[int, int]]:
    """First cell and end of windows that cover so many cells; each overlaps the next by half."""
    starts = range(0, max(1, count - length // _STEPS), max(1, length // _STEPS))
    return [(start, min(start + length, count)) for start in starts]


def _doubt(recording: Described, head: Head | None) -> Floats:
    """How unsure a head is at each cell, 0 to 1; squared, so that moments of doubt stand out."""
    if head is None:
        return np.ones(len(recording.descriptors))
    probabilities = head.probabilities(recording.descriptors)
    margin: Floats = np.abs(2 * probabilities - 1).min(axis=1)
    return (1 - margin) ** 2


def _measure(recordings: Sequence[Described]) -> tuple[Floats, Floats]:
    """Mean and deviation of the numbers of a descriptor, so that each counts the same."""
    values = np.concatenate([each.descriptors for each in recordings]).astype(np.float32)
    return values.mean(axis=0), values.std(axis=0) + 1e-6


def _looks(values: Floats) -> Floats:
    """What a stretch looks like: mean and deviation of its cells, as a vector of length 1."""
    looks = np.concatenate([values.mean(axis=0), values.std(axis=0) - 1])
    found: Floats = looks / max(float(np.linalg.norm(looks)), 1e-6)
    return found


def _spread(candidates: Candidates, most: int) -> list[int]:
    """Places of those that are chosen, one after another."""
    chosen: list[int] = []
    value = candidates.unsure.copy()
    names = np.array([each.recording for each in candidates.stretches])
    farness = np.ones(len(value))
    while len(chosen) < min(most, len(value)):
        place = int(np.argmax(value * farness))
        if value[place] < 0:
            break
        chosen.append(place)
        distance = np.sqrt(np.maximum(2 - 2 * candidates.looks @ candidates.looks[place], 0))
        farness = np.minimum(farness, distance)
        same = names == names[place]
        value[same] *= _SAME_RECORDING
        latest = candidates.stretches[place]
        for other in np.flatnonzero(same):
            if _overlap(candidates.stretches[other], latest):
                value[other] = -1
    return chosen


def _overlap(one: Stretch, other: Stretch) -> bool:
    common = min(one.end, other.end) - max(one.start, other.start)
    return one.recording == other.recording and common > _OVERLAP_SECONDS
