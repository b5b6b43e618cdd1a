"""Resizing frames at a fraction of the cost of a full area average, and close to it."""

from __future__ import annotations

import cv2
import numpy as np


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a frame: averages when it shrinks, interpolates linearly when it grows.

    OpenCV's area average can cost more than decoding the frame. Here a frame is first halved, which
    is an order of magnitude faster, as often as that leaves it no smaller than `size`; only the
    small rest is resized by an uneven factor. On real video, at 112 x 112, the result differs from
    the area average by 0.4 to 2 grey levels in the mean (36 to 50 dB).

    Args:
        frame: uint8 (H, W, 3).
        size: (height, width) of the result, in pixels.

    Returns:
        uint8 (height, width, 3); `frame` itself if it has that size.

    Example:
        >>> resize(np.zeros((240, 320, 3), np.uint8), (112, 96)).shape
        (112, 96, 3)
    """
    height, width = size
    while (ratio := min(frame.shape[0] / height, frame.shape[1] / width)) >= 2:
        # A quarter in one step reads only the middle 2 x 2 of 4 x 4 pixels. That is enough where
        # the steps that follow average over several of them.
        step = 4 if ratio >= 8 else 2
        frame = _linear(frame, frame.shape[0] // step, frame.shape[1] // step)
    # One side can still be several times too long.
    rows = height * _power_of_two(frame.shape[0] / height)
    columns = width * _power_of_two(frame.shape[1] / width)
    frame = _linear(frame, rows, columns)
    while frame.shape[:2] != (height, width):
        frame = _linear(frame, max(height, frame.shape[0] // 2), max(width, frame.shape[1] // 2))
    return frame


def _linear(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear interpolation; at half the size, it is the mean of 2 x 2 pixels."""
    if frame.shape[:2] == (height, width):
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)


def _power_of_two(ratio: float) -> int:
    """The largest power of two that is at most `ratio`, and at least 1."""
    return 1 << max(0, int(ratio).bit_length() - 1)
