"""Frames that come with their times, at a fixed rate and size, as from a file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipeline.video.resize import resize
from pipeline.video.timing import on_display


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
