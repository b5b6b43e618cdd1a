"""Skeletons on frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pipeline.pose.estimator import Poses
from pipeline.pose.skeleton import LEFT_LIMBS, MIDDLE_LIMBS, RIGHT_LIMBS, sides

_COLOURS = (
    (LEFT_LIMBS, (255, 140, 0)),
    (RIGHT_LIMBS, (0, 190, 255)),
    (MIDDLE_LIMBS, (235, 235, 235)),
)
_OF_SIDE = dict(zip(("left", "right", "middle"), (colour for _, colour in _COLOURS), strict=True))
_OUTLINES = ((0, 0, 0), (255, 255, 255), (120, 0, 120), (0, 120, 0))
_FAINTEST = 0.15


def draw_poses(frame: npt.NDArray[np.uint8], poses: Poses) -> npt.NDArray[np.uint8]:
    """A frame with the people in it: their left side orange, their right side blue.

    What is hardly visible is faint. Each person has an outline of their own, the first a black one
    and the second a white one.

    Args:
        frame: uint8 (H, W, 3), RGB.
        poses: Of that frame.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = frame.shape[:2]
    image = Image.fromarray(frame).convert("RGBA")
    thick = max(2, round(min(height, width) / 100))
    for number in np.flatnonzero(poses.flags):
        points = poses.points[number]
        ends = points[:, :2] * (width, height)
        outline = _OUTLINES[number % len(_OUTLINES)]
        # A limb is as opaque as a whole, so it is drawn on a picture of its own.
        layer = Image.new("RGBA", image.size)
        pen = ImageDraw.Draw(layer)
        for extra, fill in ((2, outline), (0, None)):
            for limbs, colour in _COLOURS:
                for pair in limbs:
                    seen = max(_FAINTEST, float(points[list(pair), 2].min()))
                    line = [tuple(ends[each]) for each in pair]
                    pen.line(line, fill=(*(fill or colour), round(255 * seen)), width=thick + extra)
        image.alpha_composite(layer)
    return np.asarray(image.convert("RGB"))


def draw_marks(
    frame: npt.NDArray[np.uint8],
    points: npt.NDArray[np.float32],
    names: tuple[str, ...],
    height: float = 0.0,
) -> npt.NDArray[np.uint8]:
    """A frame with the points of a table: those of the left orange, of the right blue, else white.

    Args:
        frame: uint8 (H, W, 3), RGB.
        points: float32 (P, N, 5), see `pipeline.key_points.KeyPoints`.
        names: Of the points (N).
        height: Of the frame that they are of, in pixels of this one; 0: as high as this one.

    Returns:
        uint8 (H, W, 3).
    """
    middle = np.array([frame.shape[1], frame.shape[0]]) / 2
    image = Image.fromarray(frame).convert("RGBA")
    radius = max(2, round(min(frame.shape[:2]) / 100))
    colours = [_OF_SIDE[side] for side in sides(names)]
    layer = Image.new("RGBA", image.size)
    pen = ImageDraw.Draw(layer)
    for number in np.flatnonzero(points[:, 0, -1]):
        outline = _OUTLINES[number % len(_OUTLINES)]
        places = points[number, :, :2] * (height or frame.shape[0]) + middle
        for (x, y), sure, colour in zip(places, points[number, :, 2], colours, strict=True):
            if sure:
                opaque = round(255 * max(_FAINTEST, float(sure)))
                box = (x - radius, y - radius, x + radius, y + radius)
                pen.ellipse(box, fill=(*colour, opaque), outline=(*outline, opaque))
    image.alpha_composite(layer)
    return np.asarray(image.convert("RGB"))


def draw_points(
    points: npt.NDArray[np.float32], side: int, names: tuple[str, ...] = ()
) -> npt.NDArray[np.uint8]:
    """People as a network sees them, on a dark square that is as wide as a frame of 16 to 9.

    Args:
        points: float32 (P, N, V), see `pipeline.streams.PosePoints`.
        side: Of the square, in pixels.
        names: Of points from tables, see `pipeline.config.FramesConfig.key_points`.

    Returns:
        uint8 (side, side, 3).
    """
    dark = np.full((side, side, 3), 24, np.uint8)
    if names:
        return draw_marks(dark, points, names, side * 9 / 16)
    placed = points[..., :6].copy()
    placed[..., :2] = points[..., :2] * 9 / 16 + 0.5
    return draw_poses(dark, Poses(placed, points[:, 0, 6]))
