"""Frames by time of display, in seconds."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np

from pipeline.video.images import resize

T = TypeVar("T")

# Matroska and WebM round timestamps to a millisecond: the time between two of them can be one off.
TOLERANCE_SECONDS: Final = 0.001

MOST_GAP_SECONDS: Final = 10.0
"""The longest time from one frame to the next; a longer one is a clock that jumped.

Source: FFmpeg's `-dts_delta_threshold`, from which on it takes timestamps for broken off.
"""
_MOST_GAP: Final = MOST_GAP_SECONDS + TOLERANCE_SECONDS


def increasing(
    timestamps: Iterable[float],
    *,
    frame_seconds: float,
    on_jump: Callable[[], object] = lambda: None,
) -> Iterator[float]:
    """Turns the timestamps that a container reports into times that start at 0 and increase.

    A timestamp that does not increase, or is missing (reported as 0, as for frames that the decoder
    still holds at the end of a file), is replaced: one frame duration after the frame before. So is
    one that jumps ahead by more than `MOST_GAP_SECONDS`, and time goes on from there.

    Args:
        timestamps: One a frame, in the order of display, in seconds.
        frame_seconds: Duration of one frame, in seconds.
        on_jump: Called for each jump ahead.

    Yields:
        One time a frame, in seconds from the first frame.

    Example:
        >>> list(increasing([2.0, 2.5, 4.0, 0.0, 86400.0, 86401.0], frame_seconds=0.5))
        [0.0, 0.5, 2.0, 2.5, 3.0, 4.0]
    """
    stamps = iter(timestamps)
    first = next(stamps, None)
    if first is None:
        return
    time = left_out = 0.0
    yield time
    for stamp in stamps:
        passed = stamp - first
        # From the first frame on, too: a single wild timestamp moves none of those after it.
        fitting = (gap for gap in (left_out, 0.0) if 0 < passed - gap - time <= _MOST_GAP)
        gap = next(fitting, None)
        if gap is not None:
            time, left_out = passed - gap, gap
        elif passed - left_out > time:
            on_jump()
            time += frame_seconds
            left_out = passed - time
        else:
            time += frame_seconds
        yield time


def near_clock(
    times: Iterable[float], clock: Callable[[], float], *, most_seconds: float
) -> Iterator[float]:
    """Shifts the times of a live stream as little as keeps them close to a clock.

    So they are right in the long run where its timestamps are made up, as FFmpeg does where there
    are none, or jump; and smooth where frames only come unevenly.

    Args:
        times: Of the frames, in seconds; they start at 0 and increase. Each is taken when its frame
            comes.
        clock: Returns the time now, in seconds.
        most_seconds: How far from the clock they may be, if the first frame came in time.

    Yields:
        One time a frame, in seconds from the first frame; none is before the last one.

    Example:
        >>> times, now = [0.0, 1.0, 2.0, 9.0, 10.0], iter([5.0, 6.0, 9.0, 10.0, 11.0])
        >>> list(near_clock(times, lambda: next(now), most_seconds=1))
        [0.0, 1.0, 3.0, 6.0, 7.0]
    """
    start: float | None = None
    shift = 0.0
    for time in times:
        now = clock()
        start = now if start is None else start
        late = now - start - time
        shift = min(max(shift, late - most_seconds), late + most_seconds)
        yield time + shift


def count_ticks(seconds: float, *, fps: float, frame_seconds: float) -> int:
    """Ticks 0, 1/fps, 2/fps, ... at which a frame of a file of that length is on display.

    Example:
        >>> [count_ticks(seconds, fps=15, frame_seconds=0.04) for seconds in (2.0, 0.04)]
        [30, 1]
    """
    return max(1, math.ceil((seconds - min(TOLERANCE_SECONDS, frame_seconds / 2)) * fps))


class Ticks:
    """Which ticks of a rate are asked for, in their order.

    Args:
        ranges: First tick, and tick after the last, of each range, in order; they do not overlap.
            An infinite end is that of the file.
    """

    def __init__(self, ranges: Iterable[tuple[int, float]] = ((0, math.inf),)) -> None:
        self._left = deque(ranges)

    def count(self, first: int, end: float) -> int:
        """How many ticks from one to another are asked for; earlier ones are forgotten."""
        self.drop_before(first)
        number = 0
        for low, high in self._left:
            if low >= end:
                break
            number += int(min(high, end)) - max(low, first)
        return number

    def drop_before(self, first: int) -> bool:
        """Forgets earlier ticks; returns whether others are left."""
        while self._left and self._left[0][1] <= first:
            self._left.popleft()
        return bool(self._left)


def on_display(
    times: Iterable[float],
    retrieve: Callable[[], T],
    retrieve_previous: Callable[[], T],
    *,
    fps: float,
    frame_seconds: float,
    ticks: Ticks | None = None,
    is_uneven: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[T, int]]:
    """Samples frames at the ticks 0, 1/fps, 2/fps, ...: at each, the frame that is on display.

    A frame is on display from its own time until that of the next one, the last frame for one frame
    duration. So frames repeat where they come slower than `fps`, and are left out where they come
    faster.

    Args:
        times: Of the frames, in seconds; they increase. After the last tick that is asked for, no
            further one is taken.
        retrieve: Returns the frame of the latest time. It is called at most once for each time, if
            a tick is due before the next frame is; after the frame before was yielded: no two
            frames are needed at once.
        retrieve_previous: Returns the frame before that. It is called where the next frame comes
            later than it was due, by more than times are rounded.
        fps: Ticks per second, from the first time on.
        frame_seconds: How long a frame lasts, in seconds: the last one, and what is expected of
            the others.
        ticks: Those that are asked for; None: all.
        is_uneven: Whether frames may come later than they are due: then each is retrieved that may
            be on display at a tick that is asked for.

    Yields:
        A frame and the number of ticks asked for at which it is on display, at least 1.

    Example:
        >>> seen = []  # the frame of a time is here the number of times so far
        >>> times = map(lambda time: seen.append(time) or time, [5.0, 5.5, 6.0, 8.0])
        >>> now, before = lambda: len(seen), lambda: len(seen) - 1
        >>> list(on_display(times, now, before, fps=1, frame_seconds=0.5))
        [(1, 1), (3, 2), (4, 1)]
    """
    ticks = ticks or Ticks()
    tolerance = min(TOLERANCE_SECONDS, frame_seconds / 2)
    past, due = 0, 0.0
    first: float | None = None
    shown: list[T] = []
    for time in times:
        first = time if first is None else first
        now = max(past, math.ceil((time - first - tolerance) * fps))
        if number := ticks.count(past, now):
            yield shown.pop() if shown else retrieve_previous(), number
        if not ticks.drop_before(now):
            return
        past = now
        due = time - first + frame_seconds - tolerance
        # Nearly as much later as the tolerance is earlier: not on the tick itself.
        expected = math.ceil((due + 0.9 * tolerance) * fps)
        latest = past + math.ceil(_MOST_GAP * fps) if is_uneven() else expected
        shown = [retrieve()] if ticks.count(past, latest) else []
    if number := ticks.count(past, math.ceil(due * fps)):
        yield shown.pop(), number


def timed_frames(
    timed: Iterable[tuple[float, np.ndarray]],
    *,
    fps: float,
    size: tuple[int, int],
    frame_seconds: float,
) -> Iterator[np.ndarray]:
    """Yields frames at a rate and size, as `VideoReader.frames` does of a file.

    Args:
        timed: Frames, uint8 (H, W, 3), RGB, each after its time in seconds; these increase.
        fps: Frames per second to yield, above 0.
        size: (height, width) in pixels.
        frame_seconds: How long a frame lasts, in seconds.

    Yields:
        uint8 (height, width, 3), RGB; the same array again where a frame repeats. A frame comes
        when the one after it is there.

    Example:
        >>> frames = np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
        >>> timed = zip([0.0, 0.1, 0.2, 0.3], frames)
        >>> shown = timed_frames(timed, fps=5, size=(1, 1), frame_seconds=0.1)
        >>> [int(frame[0, 0, 0]) for frame in shown]
        [0, 2]
    """
    shown = timed_in_sizes(timed, fps=fps, sizes=[size], frame_seconds=frame_seconds)
    return (frame for (frame,) in shown)


def timed_in_sizes(
    timed: Iterable[tuple[float, np.ndarray]],
    *,
    fps: float,
    sizes: Sequence[tuple[int, int] | None],
    frame_seconds: float,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields each frame in each of some sizes, see `timed_frames`; None leaves it as it is."""
    latest: list[np.ndarray] = []

    def times() -> Iterator[float]:
        for time, frame in timed:
            latest[:] = [*latest[-1:], frame]
            yield time

    shown = on_display(
        times(), lambda: latest[-1], lambda: latest[0], fps=fps, frame_seconds=frame_seconds
    )
    for frame, ticks in shown:
        resized = tuple(resize(frame, size) if size else frame for size in sizes)
        yield from itertools.repeat(resized, ticks)
