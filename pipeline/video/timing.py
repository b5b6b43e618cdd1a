"""Which decoded frame is on display at which time: index arithmetic, no pixels."""

from __future__ import annotations

import math
from typing import Final

# Containers round timestamps: a millisecond in Matroska and WebM, less elsewhere.
TOLERANCE_SECONDS: Final = 0.001


class Clock:
    """Turns the timestamps a container reports into strictly increasing seconds from the first frame.

    A timestamp that is missing or does not increase (decoders report 0 for the frames they flush at
    the end) is replaced by the previous one plus one frame duration.

    Args:
        frame_seconds: Duration of one frame, the reciprocal of the frame rate.
    """

    def __init__(self, frame_seconds: float) -> None:
        self._frame_seconds = frame_seconds
        self._first: float | None = None
        self._previous = 0.0

    def seconds(self, timestamp: float) -> float:
        """Returns the time of the next frame, given the timestamp its container reports."""
        if self._first is None:
            self._first = timestamp
            return 0.0
        time = timestamp - self._first
        if not time > self._previous:
            time = self._previous + self._frame_seconds
        self._previous = time
        return time


def ticks_before(time: float, fps: float) -> int:
    """Returns how many of the ticks 0, 1/fps, 2/fps, ... come before `time` (seconds)."""
    return max(0, math.ceil((time - TOLERANCE_SECONDS) * fps))
