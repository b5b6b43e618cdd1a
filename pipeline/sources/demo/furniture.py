"""Things on the wall of a room and before it; each stands at x, where the wall meets the floor."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.sources.demo.painting import Colour, Painting, shaded, tone

_WHITE: Final[Colour] = (238, 236, 230)
_IRON: Final[Colour] = (70, 66, 64)


def _draw_wood(rng: np.random.Generator) -> Colour:
    return tone(rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.7))


def _window(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wide, low, high = rng.uniform(0.35, 0.6), floor + rng.uniform(0.7, 0.95), floor + 1.95
    sky = tone(rng.uniform(0.52, 0.62), rng.uniform(0.15, 0.5), rng.uniform(0.75, 1))
    painting.box(x - wide - 0.05, low - 0.05, x + wide + 0.05, high + 0.05, _WHITE)
    painting.box(x - wide, low, x + wide, high, sky)
    painting.blob(x - wide * 0.3, low + 0.12, wide * 0.55, tone(0.3, 0.4, 0.55), 0.4)
    painting.box(x - 0.02, low, x + 0.02, high, _WHITE)
    painting.box(x - wide - 0.09, low - 0.1, x + wide + 0.09, low - 0.04, shaded(_WHITE, 0.93))


def _picture(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wide, high, y = rng.uniform(0.16, 0.4), rng.uniform(0.14, 0.3), floor + rng.uniform(1.3, 1.6)
    frame, hue = shaded(_draw_wood(rng), 0.7), rng.uniform()
    painting.box(x - wide - 0.04, y - high - 0.04, x + wide + 0.04, y + high + 0.04, frame)
    painting.box(x - wide, y - high, x + wide, y + high, tone(hue, 0.25, 0.9))
    painting.blob(x - wide * 0.3, y + high * 0.2, high * 0.45, tone(hue + 0.4, 0.5, 0.8))
    hill = [(x - wide, y - high), (x + wide, y - high), (x + wide * 0.4, y + high * 0.3)]
    painting.polygon(hill, tone(hue + 0.1, 0.5, 0.5))


def _shelf(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wide, tall, wood = rng.uniform(0.3, 0.5), rng.uniform(0.9, 1.9), _draw_wood(rng)
    painting.box(x - wide, floor - 0.04, x + wide, floor + tall, wood)
    for low in np.arange(floor + 0.06, floor + tall - 0.2, 0.32).tolist():
        painting.box(x - wide + 0.03, low, x + wide - 0.03, low + 0.27, shaded(wood, 0.45))
        left = x - wide + 0.04
        while left < x + wide - 0.1:
            right = left + rng.uniform(0.03, 0.07)
            colour = tone(rng.uniform(), rng.uniform(0.2, 0.55), rng.uniform(0.4, 0.8))
            painting.box(left, low, right, low + rng.uniform(0.15, 0.25), colour)
            left = right + 0.006


def _door(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    wood = _draw_wood(rng)
    painting.box(x - 0.46, floor, x + 0.46, floor + 2.06, shaded(wood, 1.25))
    painting.box(x - 0.4, floor, x + 0.4, floor + 2.0, wood)
    for low in (0.15, 1.1):
        painting.box(x - 0.28, floor + low, x + 0.28, floor + low + 0.75, shaded(wood, 0.88))
    painting.blob(x + 0.34, floor + 1.0, 0.03, (225, 205, 130))


def _lamp(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    top = floor + rng.uniform(1.3, 1.7)
    painting.box(x - 0.015, floor, x + 0.015, top, _IRON)
    painting.blob(x, floor - 0.01, 0.16, _IRON, 0.25)
    shade = [(x - 0.22, top), (x + 0.22, top), (x + 0.13, top + 0.3), (x - 0.13, top + 0.3)]
    painting.polygon(shade, tone(rng.uniform(0.08, 0.16), rng.uniform(0.1, 0.45), 0.97))


def plant(painting: Painting, x: float, floor: float, rng: np.random.Generator) -> None:
    """Paints a plant with long leaves in a pot."""
    tall, low = rng.uniform(0.6, 1.1), floor + 0.2
    green = tone(rng.uniform(0.25, 0.4), rng.uniform(0.4, 0.65), rng.uniform(0.35, 0.6))
    for angle in rng.uniform(-1.1, 1.1, size=11).tolist():
        length, leaf = tall * rng.uniform(0.5, 0.8), 0.05 * tall
        dx, dy = length * np.sin(angle), length * np.cos(angle)
        bend_x, bend_y = x + 0.35 * dx, low + 0.65 * dy
        outline = [(x, low), (bend_x - leaf, bend_y), (x + dx, low + dy), (bend_x + leaf, bend_y)]
        painting.polygon(outline, shaded(green, rng.uniform(0.75, 1.2)))
    pot = [(x - 0.1, floor - 0.05), (x + 0.1, floor - 0.05), (x + 0.14, low), (x - 0.14, low)]
    painting.polygon(pot, tone(rng.uniform(0.02, 0.1), 0.55, 0.65))


FURNITURE: Final = (_window, _picture, _shelf, _door, _lamp, plant)
