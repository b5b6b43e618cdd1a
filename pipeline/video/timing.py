"""Which frame is on display at which time. Pure arithmetic on timestamps, in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
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
    times: Iterable[float], retrieve: Callable[[], T], *, fps: float, frame_seconds: float
) -> Iterator[tuple[T, int]]:
    """Samples frames at the ticks 0, 1/fps, 2/fps, ...: at each, the frame that is on display.

    A frame is on display from its own time until that of the next one, the last frame for one frame
    duration. So frames repeat where they come slower than `fps`, and are left out where they come
    faster.

    Args:
        times: Of the frames, in seconds; they start at 0 and increase.
        retrieve: Returns the frame of the latest time. It is called once for each time, after the
            frame before was yielded: no two frames are needed at once.
        fps: Ticks per second.
        frame_seconds: Duration of the last frame, in seconds.

    Yields:
        A frame and the number of ticks that it is on display, at least 1.

    Example:
        >>> frames = iter("abcd")
        >>> list(on_display([0.0, 0.5, 1.0, 3.0], frames.__next__, fps=1, frame_seconds=0.5))
        [('a', 1), ('c', 2), ('d', 1)]
    """
    tolerance = min(TOLERANCE_SECONDS, frame_seconds / 2)
    past, end = 0, 0.0
    shown: list[T] = []
    for time in times:
        ticks = math.ceil((time - tolerance) * fps) - past
        if ticks > 0:
            yield shown.pop(), ticks
            past += ticks
        shown, end = [retrieve()], time + frame_seconds
    ticks = math.ceil((end - tolerance) * fps) - past
    if ticks > 0:
        yield shown.pop(), ticks
