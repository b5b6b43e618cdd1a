"""Resizing frames: fast, and close to an area average."""

from __future__ import annotations

import cv2
import numpy as np


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a frame.

    Args:
        frame: uint8 (H, W, C).
        size: (height, width) of the result, in pixels.

    Returns:
        uint8 (height, width, C).
    """
    height, width = size
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height <= frame.shape[0] and width <= frame.shape[1]
    return cv2.resize(
        frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
