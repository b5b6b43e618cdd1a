"""Heat drawn on frames: of places, and of people."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image, ImageDraw

from pipeline.pose.skeleton import LEFT_LIMBS, MIDDLE_LIMBS, PARTS, RIGHT_LIMBS

Frame = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

_DIM = 0.6
_LIMBS = LEFT_LIMBS + RIGHT_LIMBS + MIDDLE_LIMBS
_PART_OF = {point: number for number, points in enumerate(PARTS.values()) for point in points}
_LEVELS = (0.0, 0.3, 1.0)
_COLOURS = ((170, 255, 255), (170, 80, 230), (170, 0, 0))
"""Red, green and blue at these levels of heat."""


def warm(frame: Frame, heat: Floats) -> Frame:
    """A frame under its heat.

    Args:
        frame: uint8 (H, W, 3).
        heat: float (H, W), 0 to 1.

    Returns:
        uint8 (H, W, 3): grey where there is no heat, coloured where there is.
    """
    colours = 255 * colormaps["inferno"](heat)[..., :3]
    share = 0.75 * heat[..., None]
    mixed = (1 - share) * _grey(frame) + share * colours
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def _grey(frame: Frame) -> Floats:
    return frame.mean(axis=-1, keepdims=True).repeat(3, axis=-1)


def dimmed(frame: Frame) -> Frame:
    """A frame, uint8 (H, W, 3), dark and grey, so that people stand out who are drawn on it."""
    return (_DIM * _grey(frame)).astype(np.uint8)


def warm_people(frame: Frame, points: Floats, heat: Floats) -> Frame:
    """A frame with the people in it: the more a part of a body is heated, the larger its disc.

    Args:
        frame: uint8 (H, W, 3).
        points: float32 (P, 33, 7), see `pipeline.streams.PosePoints`.
        heat: Of each part, float (P, 13), 1 at most.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = frame.shape[:2]
    image = Image.fromarray(frame)
    pen = ImageDraw.Draw(image)
    unit = min(height, width) / 100
    for person, hot in zip(points, np.clip(heat, 0, 1), strict=True):
        if not person[0, 6] > 0:
            continue
        ends = person[:, :2] * height + (width / 2, height / 2)
        for pair in _LIMBS:
            value = np.mean([hot[_PART_OF[each]] for each in pair])
            pen.line([tuple(ends[each]) for each in pair], _colour(value), max(1, round(unit)))
        for part, value in zip(PARTS.values(), hot, strict=True):
            middle, radius = ends[list(part)].mean(axis=0), unit * (1 + 4 * value**0.5)
            box = [*(middle - radius), *(middle + radius)]
            pen.ellipse(box, _colour(value))
    return np.asarray(image)


def _colour(heat: float) -> tuple[int, int, int]:
    """From light grey to red to yellow."""
    red, green, blue = (round(float(np.interp(heat, _LEVELS, each))) for each in _COLOURS)
    return red, green, blue
