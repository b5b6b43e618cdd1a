"""The place behind the figure: a room, a garden or a street, painted with coordinates in metres.

The figure stands at y = 0; the floor reaches up to where the wall, or the far end of the ground,
begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np

from pipeline.sources.demo.drawing import Colour, Image
from pipeline.sources.demo.wardrobe import tone

Bounds = tuple[float, float, float, float]  # left, right, bottom and top edge in metres
_SHIFT: Final = 4  # binary digits after the point in OpenCV's coordinates
_WHITE: Final = (238, 236, 230)


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
        shape = round((self.top - self.bottom) * scale), round((self.right - self.left) * scale)
        self.image: Image = np.zeros((*shape, 3), np.uint8)

    def polygon(self, points: Iterable[tuple[float, float]], colour: Colour) -> None:
        """Fills a polygon, given as (x, y)."""
        corners = [((x - self.left) * self.scale, (self.top - y) * self.scale) for x, y in points]
        fixed = np.round(np.array(corners) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, _SHIFT)

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        """Fills a rectangle."""
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def framed(
        self, left: float, bottom: float, right: float, top: float, edge: Colour, colour: Colour
    ) -> None:
        """Fills a rectangle with a frame around it."""
        self.box(left - 0.04, bottom - 0.04, right + 0.04, top + 0.04, edge)
        self.box(left, bottom, right, top, colour)

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

    def roughen(self, strength: float, rng: np.random.Generator) -> None:
        """Roughens it, coarsely and finely, by about `strength` grey levels."""
        height, width = self.image.shape[:2]
        grain = np.zeros((height, width), np.float32)
        for cell in (0.4, 0.1, 0.025):
            shape = [max(round(length / (self.scale * cell)), 2) for length in (height, width)]
            coarse = rng.normal(0, strength, shape).astype(np.float32)
            grain += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        self.image = np.clip(self.image + grain[..., None], 0, 255).astype(np.uint8)

    def places(self, low: float, high: float, rng: np.random.Generator) -> Iterable[float]:
        """Positions from the left to the right edge, `low` to `high` metres apart."""
        x = self.left + rng.uniform(0, high)
        while x < self.right:
            yield x
            x += rng.uniform(low, high)


def paint_place(painting: Painting, rng: np.random.Generator) -> None:
    """Paints one of the places, drawn at random, over the whole painting."""
    (_room, _room, _garden, _street)[rng.integers(4)](painting, rng)


def _ground(
    painting: Painting, far: float, colour: Colour, pitch: float, rng: np.random.Generator
) -> None:
    """Paints the floor up to where it ends, with boards or slabs that run away from the viewer."""
    painting.gradient(painting.bottom, far, colour, shaded(colour, 0.82))
    middle = (painting.left + painting.right) / 2
    for x in np.arange(painting.left - 1, painting.right + 1, pitch).tolist():
        near = [(x - 0.012, painting.bottom), (x + 0.012, painting.bottom)]
        painting.polygon([*near, (middle + 0.8 * (x - middle), far)], shaded(colour, 0.75))
    painting.roughen(rng.uniform(1, 4), rng)


def _room(painting: Painting, rng: np.random.Generator) -> None:
    floor = rng.uniform(0.16, 0.34)
    wall = tone(rng.uniform(), rng.uniform(0.03, 0.24), rng.uniform(0.65, 0.95))
    painting.gradient(floor, painting.top, shaded(wall, 0.9), wall)
    for x in painting.places(0.9, 1.7, rng):
        (_window, _picture, _shelf, _door)[rng.integers(4)](painting, x, floor, rng)
    painting.box(painting.left, floor, painting.right, floor + 0.07, shaded(wall, 1.2))
    wood = tone(rng.uniform(0.05, 0.12), rng.uniform(0.15, 0.5), rng.uniform(0.4, 0.75))
    _ground(painting, floor, wood, rng.uniform(0.18, 0.4), rng)


def _window(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wide, low, high = rng.uniform(0.35, 0.6), floor + rng.uniform(0.7, 0.95), floor + 1.95
    sky = tone(rng.uniform(0.52, 0.62), rng.uniform(0.15, 0.5), rng.uniform(0.75, 1))
    painting.framed(x - wide, low, x + wide, high, _WHITE, sky)
    painting.blob(x - wide * 0.3, low + 0.12, wide * 0.55, tone(0.3, 0.4, 0.55), 0.2)
    painting.box(x - 0.02, low, x + 0.02, high, _WHITE)


def _picture(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wide, high, y = rng.uniform(0.16, 0.4), rng.uniform(0.14, 0.3), floor + rng.uniform(1.3, 1.6)
    hue = rng.uniform()
    painting.framed(
        x - wide, y - high, x + wide, y + high, tone(0.08, 0.5, 0.4), tone(hue, 0.25, 0.9)
    )
    painting.blob(x - wide * 0.3, y + high * 0.2, high * 0.45, tone(hue + 0.4, 0.5, 0.8))
    hill = [(x - wide, y - high), (x + wide, y - high), (x + wide * 0.4, y + high * 0.3)]
    painting.polygon(hill, tone(hue + 0.1, 0.5, 0.5))


def _shelf(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wide, tall = rng.uniform(0.3, 0.5), rng.uniform(0.9, 1.9)
    wood = tone(rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.7))
    painting.box(x - wide, floor - 0.04, x + wide, floor + tall, wood)
    for low in np.arange(floor + 0.06, floor + tall - 0.2, 0.32).tolist():
        painting.box(x - wide + 0.03, low, x + wide - 0.03, low + 0.27, shaded(wood, 0.45))
        for left in np.arange(x - wide + 0.05, x + wide - 0.1, 0.06).tolist():
            colour = tone(rng.uniform(), rng.uniform(0.2, 0.55), rng.uniform(0.4, 0.8))
            painting.box(left, low, left + 0.05, low + rng.uniform(0.15, 0.25), colour)


def _door(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wood = tone(rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.7))
    painting.framed(x - 0.4, floor, x + 0.4, floor + 2, shaded(wood, 1.25), wood)
    for low in (0.15, 1.1):
        painting.box(x - 0.28, floor + low, x + 0.28, floor + low + 0.75, shaded(wood, 0.88))
    painting.blob(x + 0.34, floor + 1.0, 0.03, (225, 205, 130))


def _garden(painting: Painting, rng: np.random.Generator) -> None:
    horizon, hue = rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.36)
    sky = tone(rng.uniform(0.52, 0.6), rng.uniform(0.2, 0.5), rng.uniform(0.8, 1))
    painting.gradient(painting.bottom, painting.top, shaded(sky, 1.25), sky)
    xs = np.linspace(painting.left, painting.right, 60)
    for layer in range(3):
        haze = tone(hue + 0.1 * (1 - layer / 2), 0.24 + 0.1 * layer, 0.78 - 0.08 * layer)
        turns = xs / rng.uniform(1.5, 4) + rng.uniform()
        ys = horizon + 0.22 * (2 - layer) + rng.uniform(0.1, 0.2) * (1 + np.sin(2 * np.pi * turns))
        feet = [(painting.right, painting.bottom), (painting.left, painting.bottom)]
        painting.polygon([*zip(xs.tolist(), ys.tolist(), strict=True), *feet], haze)
    for x in painting.places(0.8, 2.2, rng):
        tall, leaves = rng.uniform(0.9, 1.7), tone(hue + rng.uniform(-0.06, 0.06), 0.45, 0.55)
        painting.box(x - 0.05, horizon - 0.05, x + 0.05, horizon + tall * 0.6, (92, 68, 48))
        for dx, dy in rng.normal(0, 0.14 * tall, (9, 2)).tolist():
            green = shaded(leaves, rng.uniform(0.85, 1.2))
            painting.blob(x + dx, horizon + 0.8 * tall + dy, 0.2 * tall, green)
    grass = tone(hue, rng.uniform(0.3, 0.5), rng.uniform(0.55, 0.75))
    _ground(painting, horizon, grass, 99, rng)


def _street(painting: Painting, rng: np.random.Generator) -> None:
    kerb = rng.uniform(0.22, 0.4)
    painting.gradient(painting.bottom, painting.top, (235, 228, 214), tone(0.57, 0.25, 0.92))
    left = painting.left - rng.uniform(0, 1)
    while left < painting.right:
        right, top = left + rng.uniform(0.9, 1.8), kerb + rng.uniform(1.5, 2.9)
        front = tone(rng.uniform(0, 0.14), rng.uniform(0.1, 0.45), rng.uniform(0.5, 0.85))
        glass = tone(0.58, rng.uniform(0.1, 0.4), rng.uniform(0.35, 0.9))
        painting.box(left, kerb, right, top, front)
        painting.box(left, top - 0.06, right, top, shaded(front, 0.75))
        for y in np.arange(kerb + 0.45, top - 0.45, 0.6).tolist():
            for x in np.arange(left + 0.16, right - 0.3, 0.45).tolist():
                pane = shaded(glass, rng.uniform(0.8, 1.1))
                painting.framed(x, y, x + 0.24, y + 0.34, shaded(front, 1.25), pane)
        left = right
    paving = tone(rng.uniform(0.05, 0.65), rng.uniform(0, 0.12), rng.uniform(0.5, 0.75))
    _ground(painting, kerb, paving, 0.5, rng)
    painting.box(painting.left, kerb - 0.03, painting.right, kerb, shaded(paving, 0.65))
