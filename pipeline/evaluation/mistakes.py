"""The longest spans of recordings in which a model is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from pipeline.evaluation.recordings import Bools, Recording

_MOST_ANSWERS = 2


@dataclasses.dataclass(frozen=True)
class Mistake:
    """Frames at which a model is wrong from one to the next, and the person says the same.

    Attributes:
        recording: Its number among the recordings.
        first_frame: The first wrong one, from 0.
        last_frame: The last wrong one.
        start_seconds: Where they begin.
        end_seconds: Where they end.
        human: Names of the classes that hold, maybe none.
        machine: What the model answers, the names of each set of classes and the share of the
            frames, 0 to 1; the most frequent ones.
    """

    recording: int
    first_frame: int
    last_frame: int
    start_seconds: float
    end_seconds: float
    human: tuple[str, ...]
    machine: list[tuple[tuple[str, ...], float]]


def longest_mistakes(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    exclusive: bool,
    most: int,
) -> list[Mistake]:
    """The longest spans in which the model is wrong, the longest first; what is unknown is none.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        exclusive: Whether classes exclude each other.
        most: How many, at most.
    """
    spans = [
        (number, *span)
        for number, recording in enumerate(recordings)
        for span in _wrong_spans(recording, exclusive=exclusive)
    ]
    spans.sort(key=lambda span: (span[1] - span[2]) / recordings[span[0]].fps)
    return [
        _mistake(number, recordings[number], start, end, class_names)
        for number, start, end in spans[:most]
    ]


def _wrong_spans(recording: Recording, *, exclusive: bool) -> list[tuple[int, int]]:
    """First frames, and the frames after the last."""
    wrong = (recording.holds != recording.answers).any(axis=1)
    wrong &= recording.known(exclusive=exclusive)
    state = np.column_stack([wrong, recording.labels])
    edges = np.flatnonzero((state[1:] != state[:-1]).any(axis=1)) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(wrong))
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True) if wrong[start]]


def _mistake(
    number: int, recording: Recording, start: int, end: int, class_names: Sequence[str]
) -> Mistake:
    answers, counts = np.unique(recording.answers[start:end], axis=0, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:_MOST_ANSWERS]
    return Mistake(
        number,
        start,
        end - 1,
        start / recording.fps,
        end / recording.fps,
        _names(recording.holds[start], class_names),
        [(_names(answers[row], class_names), float(counts[row] / (end - start))) for row in common],
    )


def _names(holds: Bools, class_names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, there in zip(class_names, holds, strict=True) if there)
