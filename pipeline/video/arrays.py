"""Frames that are in memory already, as if they were read from a file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.video.resize import resize
from pipeline.video.timing import on_display


def array_frames(
    array: np.ndarray, *, array_fps: float, fps: float, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yields frames of an array at a rate and size, as `VideoReader.frames` does of a file.

    Args:
        array: uint8 (N, H, W, 3), RGB.
        array_fps: Its frames per second, above 0.
        fps: Frames per second to yield, above 0.
        size: (height, width) in pixels.

    Yields:
        uint8 (height, width, 3), RGB; the same array again where a frame repeats.

    Example:
        >>> array = np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
        >>> [int(f[0, 0, 0]) for f in array_frames(array, array_fps=10, fps=5, size=(1, 1))]
        [0, 2]
    """
    index = -1

    def times() -> Iterator[float]:
        nonlocal index
        for index in range(len(array)):
            yield index / array_fps

    shown = on_display(
        times(),
        lambda: array[index],
        lambda: array[index - 1],
        fps=fps,
        frame_seconds=1 / array_fps,
    )
    for frame, ticks in shown:
        yield from [resize(frame, size)] * ticks
