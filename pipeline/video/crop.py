"""A square part of a frame, turned upright."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def crop(
    frame: npt.NDArray[np.uint8], centre: tuple[float, float], side: float, angle: float, size: int
) -> npt.NDArray[np.uint8]:
    """Cuts a square out of a frame, interpolating linearly; what lies outside of it is black.

    Args:
        frame: uint8 (H, W, 3).
        centre: x and y of its middle in pixels, counted from the corner of the frame.
        side: Its length in pixels.
        angle: By how much its upper edge is turned clockwise, in radians.
        size: Height and width of the result in pixels.

    Returns:
        uint8 (size, size, 3).

    Example:
        >>> frame = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, axis=2)
        >>> crop(frame, (3, 1), 2, 0, 2)[..., 0].tolist()
        [[2, 3], [6, 7]]
    """
    step = side / size
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * step
    # OpenCV counts from the middle of the first pixel.
    offset = np.asarray(centre) - 0.5 - turn @ np.full(2, (size - 1) / 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, np.column_stack([turn, offset]), (size, size), flags=flags)
