"""Statistics of bouts: how often, how long and when each class holds, of human and machine."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atomic import atomic_write
from pipeline.evaluation.recordings import Recording
from pipeline.tasks.amounts import WHOLE, Amount, Spans


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


def summary(rows: Sequence[Bouts]) -> dict[str, Any]:
    """What `bouts` gives of whole recordings, as plain values, and how well the two agree.

    Returns:
        recordings: A list of `recording`, `group`, `seconds`, `known_seconds` and `classes`: by
            name `human` and `machine`, as in `Amount`.
        agreement: By class, of `total_seconds` and of `count`: `correlation` of human and machine
            over the recordings of which something is known (Pearson's; None with fewer than 3, or
            where one of the two is always the same) and `mean_absolute_difference`.
    """
    whole = [row for row in rows if row.bin == WHOLE]
    recordings: dict[str, dict[str, Any]] = {}
    for row in whole:
        recording = recordings.setdefault(
            row.recording,
            {
                "recording": row.recording,
                "group": row.group,
                "seconds": row.end_seconds,
                "known_seconds": row.known_seconds,
                "classes": {},
            },
        )
        both = {"human": row.human, "machine": row.machine}
        recording["classes"][row.class_name] = {
            who: dataclasses.asdict(amount) for who, amount in both.items()
        }
    judged = [row for row in whole if row.known_seconds]
    return {
        "recordings": list(recordings.values()),
        "agreement": {
            name: _agreement([row for row in judged if row.class_name == name])
            for name in dict.fromkeys(row.class_name for row in judged)
        },
    }


def _agreement(rows: Sequence[Bouts]) -> dict[str, dict[str, float | None]]:
    found = {}
    for key in ("total_seconds", "count"):
        human, machine = (
            np.array([getattr(amount, key) for amount in amounts], float)
            for amounts in zip(*((row.human, row.machine) for row in rows), strict=True)
        )
        defined = len(rows) >= 3 and np.ptp(human) > 0 and np.ptp(machine) > 0
        found[key] = {
            "correlation": float(np.corrcoef(human, machine)[0, 1]) if defined else None,
            "mean_absolute_difference": float(np.mean(np.abs(human - machine))),
        }
    return found


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
