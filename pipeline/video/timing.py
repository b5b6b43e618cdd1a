"""Which frame is on display at which time. Pure arithmetic on timestamps, in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

# Matroska and WebM round timestamps to a millisecond: the time between two of them can be one off.
TOLERANCE_SECONDS: Final = 0.001


def increasing(timestamps: Iterable[float], *, frame_seconds: float) -> Iterator[float]:
    """Turns the timestamps that a container reports into times that start at 0 and increase.

    A timestamp that does not increase, or is missing (reported as 0, as for frames that the decoder
    still holds at the end of a file), is replaced: one frame duration after the frame before.

    Args:
        timestamps: One a frame, in the order of display, in seconds.
        frame_seconds: Duration of one frame, in seconds.

    Yields:
        One time a frame, in seconds from the first frame.

    Example:
        >>> list(increasing([2.0, 2.5, 4.0, 0.0], frame_seconds=0.5))
        [0.0, 0.5, 2.0, 2.5]
    """
    first: float | None = None
    time = 0.0
    for timestamp in timestamps:
        if first is None:
            first = timestamp
        elif timestamp - first > time:
            time = timestamp - first
        else:
            time += frame_seconds
        yield time


def on_display(
    frames: Iterable[tuple[float, T]], *, fps: float, frame_seconds: float
) -> Iterator[T]:
    """Samples frames at the ticks 0, 1/fps, 2/fps, ...: at each, the frame that is on display.

    A frame is on display from its own time until that of the next one, the last frame for one frame
    duration. So frames repeat where they come slower than `fps`, and are left out where they come
    faster. At most two frames are held at a time.

    Args:
        frames: Pairs of a time, in seconds, and a frame; times start at 0 and increase.
        fps: Ticks per second.
        frame_seconds: Duration of the last frame, in seconds.

    Yields:
        One frame a tick.

    Example:
        >>> frames = [(0.0, "a"), (0.5, "b"), (1.0, "c"), (3.0, "d")]
        >>> "".join(on_display(frames, fps=1, frame_seconds=0.5))
        'accd'
    """
    tolerance = min(TOLERANCE_SECONDS, frame_seconds / 2)
    ticks, end = 0, 0.0
    shown: list[T] = []
    for time, frame in frames:
        repeats = max(0, math.ceil((time - tolerance) * fps) - ticks)
        yield from shown * repeats
        ticks += repeats
        shown, end = [frame], time + frame_seconds
    yield from shown * (math.ceil((end - tolerance) * fps) - ticks)
