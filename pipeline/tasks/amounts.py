"""How much of a class there is in a recording, and in bins of its time: its bouts, counted."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.tasks.bouts import runs_of

Bools = npt.NDArray[np.bool_]

WHOLE: Final = "whole"
"""In place of the number of a bin: the whole recording."""


@dataclasses.dataclass(frozen=True)
class Amount:
    """How much of a class there is in a span of time.

    Attributes:
        count: Bouts that begin in it. Frames of which nothing is known split none.
        total_seconds: How long the class holds in it.
        mean_seconds: Mean length of its bouts; None where there are none, and of a bin.
        latency_seconds: From the start of the recording to the first bout; None as well.
        share: Of the time of which something is known; None where there is none.
    """

    count: int
    total_seconds: float
    mean_seconds: float | None
    latency_seconds: float | None
    share: float | None


@dataclasses.dataclass(frozen=True)
class Span:
    """A recording, or a bin of its time.

    Attributes:
        bin: `whole`, or the number of the bin, from 1.
        start_seconds: Where it begins in the recording.
        end_seconds: Where it ends.
        known_seconds: Of how much of it something is known.
    """

    bin: str | int
    start_seconds: float
    end_seconds: float
    known_seconds: float


class Spans:
    """A recording and the bins of its time.

    Args:
        known: Numbers of the frames of which something is known, int (M,).
        fps: Frames per second.
        length: Of the recording, in seconds.
        bin_seconds: Length of the bins, above 0; the last is shorter. None: no bins.

    Attributes:
        spans: The whole, then each bin.
    """

    def __init__(
        self,
        known: npt.NDArray[np.integer[Any]],
        fps: float,
        length: float,
        bin_seconds: float | None,
    ) -> None:
        self._known, self._fps = known, fps
        self.spans = [Span(WHOLE, 0.0, length, len(known) / fps)]
        self._bins = np.zeros(0, np.int64)
        if bin_seconds is None:
            return
        # A frame is in the bin in which it begins.
        self._bins = (known / fps / bin_seconds + 1e-9).astype(int)
        least = max(1, int(np.ceil(length / bin_seconds - 1e-9)))
        for place, frames in enumerate(np.bincount(self._bins, minlength=least)):
            start, end = place * bin_seconds, min((place + 1) * bin_seconds, length)
            self.spans.append(Span(place + 1, start, end, float(frames / fps)))

    def amounts(self, track: Bools) -> list[Amount]:
        """How much of a class there is in each span.

        Args:
            track: Where it holds, bool (M,), at the known frames.
        """
        runs = runs_of(track)
        num_bins = len(self.spans) - 1
        total, share = float(track.sum() / self._fps), float(track.mean()) if len(track) else None
        first = float(self._known[runs[0, 0]] / self._fps) if len(runs) else None
        mean = total / len(runs) if len(runs) else None
        found = [Amount(len(runs), total, mean, first, share)]
        if num_bins:
            counts = np.bincount(self._bins[runs[:, 0]], minlength=num_bins)
            held = np.bincount(self._bins[track], minlength=num_bins) / self._fps
            for span, count, seconds in zip(self.spans[1:], counts, held, strict=True):
                known = span.known_seconds
                share = float(seconds / known) if known else None
                found.append(Amount(int(count), float(seconds), None, None, share))
        return found
