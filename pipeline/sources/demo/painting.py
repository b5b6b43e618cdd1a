"""A picture that is painted with coordinates in metres."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.sources.demo.drawing import Image

Colour = tuple[float, float, float]
Bounds = tuple[float, float, float, float]  # left, right, bottom and top edge in metres
_SHIFT = 4  # binary digits after the point in OpenCV's coordinates


def tone(hue: float, saturation: float, value: float) -> Colour:
    """RGB, 0 to 255, from hue (a full turn is 1), saturation and value, 0 to 1.

    Example:
        >>> tone(0, 1, 0.8)
        (204.0, 0.0, 0.0)
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def shaded(colour: Colour, factor: float) -> Colour:
    """A darker or lighter colour."""
    red, green, blue = (min(255.0, part * factor) for part in colour)
    return red, green, blue


class Painting:
    """A picture with coordinates in metres: x to the right, y up, 0 where the figure stands.

    Args:
        bounds: What it shows.
        scale: Pixels per metre.
    """

    def __init__(self, bounds: Bounds, scale: float) -> None:
        self.left, self.right, self.bottom, self.top = bounds
        self.scale = scale
        width = round((self.right - self.left) * scale)
        height = round((self.top - self.bottom) * scale)
        self.image: Image = np.zeros((height, width, 3), np.uint8)

    def polygon(self, points: Iterable[tuple[float, float]], colour: Colour) -> None:
        """Fills a polygon, given as (x, y)."""
        corners = [((x - self.left) * self.scale, (self.top - y) * self.scale) for x, y in points]
        fixed = np.round(np.array(corners) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SHIFT)

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        """Fills a rectangle."""
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def blob(self, x: float, y: float, radius: float, colour: Colour, squash: float = 1) -> None:
        """Fills an ellipse, `squash` times as high as wide."""
        angles = np.linspace(0, 2 * np.pi, 25)
        xs, ys = x + radius * np.cos(angles), y + radius * squash * np.sin(angles)
        self.polygon(zip(xs.tolist(), ys.tolist(), strict=True), colour)

    def gradient(self, bottom: float, top: float, low: Colour, high: Colour) -> None:
        """Fills a horizontal band with a vertical gradient."""
        rows = self.top - (np.arange(len(self.image)) + 0.5) / self.scale
        inside = (rows >= bottom) & (rows < top)
        share = ((rows[inside] - bottom) / (top - bottom))[:, None]
        colours = (1 - share) * np.array(low) + share * np.array(high)
        self.image[inside] = np.clip(colours, 0, 255).astype(np.uint8)[:, None]

    def roughen(self, strength: float, top: float, rng: np.random.Generator) -> None:
        """Roughens what is below `top`, coarsely and finely, by about `strength` grey levels."""
        part = self.image[max(round((self.top - top) * self.scale), 0) :]
        height, width = part.shape[:2]
        grain = np.zeros((height, width), np.float32)
        for cell in (0.4, 0.1, 0.025):
            shape = [max(round(length / (self.scale * cell)), 2) for length in (height, width)]
            coarse = rng.normal(0, strength, shape).astype(np.float32)
            grain += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        part[:] = np.clip(part + grain[..., None], 0, 255).astype(np.uint8)

    def spotlight(self, x: float, y: float, reach: float, strength: float) -> None:
        """Darkens what is far from a point: by `strength`, 0 to 1, at the distance `reach`."""
        height, width = self.image.shape[:2]
        across = (np.arange(width) + 0.5) / self.scale + self.left - x
        down = self.top - (np.arange(height)[:, None] + 0.5) / self.scale - y
        factor = 1 - strength * np.clip((across**2 + down**2) / reach**2, 0, 1)
        self.image = (self.image * factor[..., None]).astype(np.uint8)
