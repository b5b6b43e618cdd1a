"""What a person and a model say of each frame of recordings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.manifest.annotation import IGNORED_LABEL
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
