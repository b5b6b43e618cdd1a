"""What a person and a model say of each frame of recordings, and the bouts of both."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.errors import DataError
from pipeline.manifest.annotation import IGNORED_LABEL
from pipeline.tasks.amounts import WHOLE, Amount, Spans
from pipeline.text import counted

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """What a person and a model say of each frame of a recording.

    Attributes:
        name: Its file, from the folder of all videos on, and the subject, if there is any.
        group: What it has in common with other recordings, such as the person in it.
        fps: Stored frames a second.
        labels: uint8 (N, C), of the person: 1 where a class holds, 0 where not, 255 where that is
            not known.
        probabilities: float (N, C), of the model, calibrated.
        answers: bool (N, C), what the model answers; one class at each frame where classes exclude
            each other.

    Raises:
        ValueError: They are not of one shape.
    """

    name: str
    group: str
    fps: float
    labels: npt.NDArray[np.uint8]
    probabilities: Floats
    answers: Bools

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.labels, self.probabilities, self.answers)}
        if len(shapes) > 1 or self.labels.ndim != 2:
            raise ValueError(f"{self.name}: expected three arrays (N, C) of one shape: {shapes}")

    @property
    def duration_seconds(self) -> float:
        """How long it is."""
        return len(self.labels) / self.fps

    @property
    def holds(self) -> Bools:
        """Where a class holds by what the person says, bool (N, C)."""
        return self.labels == 1

    def known(self, *, exclusive: bool) -> Bools:
        """Of which frames all is known, bool (N,).

        Args:
            exclusive: Classes exclude each other: where one holds, no other one does; of a frame at
                which several hold, or none does, nothing is known.
        """
        known: Bools = (self.labels != IGNORED_LABEL).all(axis=1)
        return np.asarray(self.holds.sum(axis=1) == 1) if exclusive else known


def judged(recordings: Sequence[Recording], *, exclusive: bool) -> list[Recording]:
    """Recordings as if they had those frames alone of which something is known, by name.

    One of which nothing is known is not among them.

    Raises:
        DataError: Nothing is known of any frame.
    """
    found = []
    for each in sorted(recordings, key=lambda recording: recording.name):
        at = each.known(exclusive=exclusive)
        if at.any():
            arrays = (each.labels[at], each.probabilities[at], each.answers[at])
            found.append(Recording(each.name, each.group, each.fps, *arrays))
    if not found:
        raise DataError(
            f"nothing is known of any frame of {counted(len(recordings), 'recording')}, so there "
            "is nothing to compare with. Mark events in them, or choose another split"
        )
    return found


@dataclasses.dataclass(frozen=True)
class Bouts:
    """The bouts of a class in a recording, or in a bin of its time.

    Attributes:
        recording: Its name.
        group: Its group.
        class_name: Of the class.
        bin: `whole`, or the number of the bin, from 1.
        start_seconds: Where the span begins in the recording.
        end_seconds: Where it ends.
        known_seconds: Of how much of it something is known.
        human: What the person saw.
        machine: What the model answers.
    """

    recording: str
    group: str
    class_name: str
    bin: str | int
    start_seconds: float
    end_seconds: float
    known_seconds: float
    human: Amount
    machine: Amount


def bouts(
    recordings: Sequence[Recording],
    class_names: Sequence[str],
    *,
    background: str = "",
    exclusive: bool,
    bin_seconds: float | None = None,
) -> list[Bouts]:
    """Bouts of human beside machine, by recording and class; what is unknown does not count.

    Args:
        recordings: What a person and the model say.
        class_names: C names.
        background: The class of what no event covers, which has no bouts; empty if there is none.
        exclusive: Whether classes exclude each other.
        bin_seconds: Length of the bins, above 0; the last is shorter. None: no bins.

    Returns:
        By name of the recording and in the order of the classes: the whole, then each bin.
    """
    return [
        row
        for recording in sorted(recordings, key=lambda each: each.name)
        for number, name in enumerate(class_names)
        if name != background
        for row in _class_bouts(recording, number, name, exclusive, bin_seconds)
    ]


def _class_bouts(
    recording: Recording, number: int, name: str, exclusive: bool, bin_seconds: float | None
) -> Iterator[Bouts]:
    known = np.flatnonzero(recording.known(exclusive=exclusive))
    spans = Spans(known, recording.fps, recording.duration_seconds, bin_seconds)
    tracks = [values[known, number] for values in (recording.holds, recording.answers)]
    for span, human, machine in zip(spans.spans, *map(spans.amounts, tracks), strict=True):
        times = span.bin, span.start_seconds, span.end_seconds, span.known_seconds
        yield Bouts(recording.name, recording.group, name, *times, human, machine)


@dataclasses.dataclass(frozen=True)
class BothAmounts:
    """How much of a class there is in a recording, by what the person saw and the model answers."""

    human: Amount
    machine: Amount


@dataclasses.dataclass(frozen=True)
class RecordingBouts:
    """The bouts of a recording, by class; times are in seconds."""

    recording: str
    group: str
    seconds: float
    known_seconds: float
    classes: Mapping[str, BothAmounts]


@dataclasses.dataclass(frozen=True)
class Agreed:
    """How well human and machine agree over recordings of which something is known.

    Attributes:
        correlation: Pearson's; None with fewer than 3, or where one of the two is always the same.
        mean_absolute_difference: How far they are apart in a recording.
    """

    correlation: float | None
    mean_absolute_difference: float


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Of the time in which a class holds, and of the number of its bouts."""

    total_seconds: Agreed
    count: Agreed


@dataclasses.dataclass(frozen=True)
class BoutScores:
    """Bouts of whole recordings, and how well the two agree, by class."""

    recordings: Sequence[RecordingBouts]
    agreement: Mapping[str, Agreement]

    @property
    def totals(self) -> dict[str, BothAmounts]:
        """`count` and `total_seconds` of all recordings, by class."""
        return {
            name: BothAmounts(
                *(
                    _total([getattr(each.classes[name], who) for each in self.recordings])
                    for who in ("human", "machine")
                )
            )
            for name in self.recordings[0].classes
        }


_AGREED: Final = ("count", "total_seconds")


def _total(amounts: Sequence[Amount]) -> Amount:
    count, seconds = (sum(getattr(each, key) for each in amounts) for key in _AGREED)
    return Amount(count, seconds, None, None, None)


def summary(rows: Sequence[Bouts]) -> BoutScores:
    """What `bouts` gives of whole recordings, and how well human and machine agree."""
    whole = [row for row in rows if row.bin == WHOLE]
    judged = [row for row in whole if row.known_seconds]
    by_recording = itertools.groupby(whole, key=lambda row: row.recording)
    return BoutScores(
        [_of_recording(list(of_one)) for _, of_one in by_recording],
        {
            name: _agreement([row for row in judged if row.class_name == name])
            for name in dict.fromkeys(row.class_name for row in judged)
        },
    )


def _of_recording(rows: Sequence[Bouts]) -> RecordingBouts:
    classes = {row.class_name: BothAmounts(row.human, row.machine) for row in rows}
    first = rows[0]
    return RecordingBouts(
        first.recording, first.group, first.end_seconds, first.known_seconds, classes
    )


def _agreement(rows: Sequence[Bouts]) -> Agreement:
    found = {}
    for key in _AGREED:
        human, machine = (
            np.array([getattr(amount, key) for amount in amounts], float)
            for amounts in zip(*((row.human, row.machine) for row in rows), strict=True)
        )
        defined = len(rows) >= 3 and np.ptp(human) > 0 and np.ptp(machine) > 0
        found[key] = Agreed(
            float(np.corrcoef(human, machine)[0, 1]) if defined else None,
            float(np.mean(np.abs(human - machine))),
        )
    return Agreement(**found)


def write_bouts(path: Path, rows: Sequence[Bouts]) -> None:
    """Writes what `bouts` gives as a table, CSV: a line a recording, class and bin.

    Raises:
        OSError: The file cannot be written.
    """
    keys = [field.name for field in dataclasses.fields(Amount)]
    about = [field.name for field in dataclasses.fields(Bouts)][:-2]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["class" if name == "class_name" else name for name in about]
    writer.writerow([*names, *(f"{who}_{key}" for key in keys for who in ("human", "machine"))])
    for row in rows:
        values = [getattr(row, name) for name in about]
        values += [getattr(who, key) for key in keys for who in (row.human, row.machine)]
        writer.writerow([f"{x:.3f}" if isinstance(x, float) else x for x in values])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
