"""The place behind the figure: a room, a garden, a street or a studio.

The figure stands at y = 0; the floor reaches up to where the wall, or the far end of the ground,
begins.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.sources.demo.furniture import FURNITURE
from pipeline.sources.demo.painting import Colour, Painting, shaded, tone


def paint_backdrop(painting: Painting, rng: np.random.Generator) -> None:
    """Paints one of the places, drawn at random, over the whole painting."""
    places = (_room, _room, _room, _garden, _garden, _street, _street, _studio)
    places[rng.integers(len(places))](painting, rng)


def _spread(
    painting: Painting, low: float, high: float, rng: np.random.Generator
) -> Iterator[float]:
    """Positions from the left to the right edge, `low` to `high` metres apart."""
    x = painting.left + rng.uniform(0, high)
    while x < painting.right:
        yield x
        x += rng.uniform(low, high)


def _room(painting: Painting, rng: np.random.Generator) -> None:
    floor = rng.uniform(0.16, 0.34)
    wall = tone(rng.uniform(), rng.uniform(0.03, 0.24), rng.uniform(0.65, 0.95))
    painting.gradient(floor, painting.top, shaded(wall, 0.9), wall)
    if rng.uniform() < 0.35:
        pitch, paper = rng.uniform(0.12, 0.3), shaded(wall, rng.uniform(0.9, 0.96))
        for x in np.arange(painting.left, painting.right, pitch).tolist():
            painting.box(x, floor, x + pitch / 2, painting.top, paper)
    painting.box(painting.left, floor, painting.right, floor + 0.07, shaded(wall, 1.2))
    wood = tone(rng.uniform(0.05, 0.12), rng.uniform(0.15, 0.5), rng.uniform(0.4, 0.75))
    painting.gradient(painting.bottom, floor, wood, shaded(wood, 0.82))
    middle = (painting.left + painting.right) / 2
    # Boards run away from the viewer, towards a point far behind the wall.
    for x in np.arange(painting.left - 1, painting.right + 1, rng.uniform(0.18, 0.4)).tolist():
        far = (middle + 0.8 * (x - middle), floor)
        near = [(x - 0.012, painting.bottom), (x + 0.012, painting.bottom)]
        painting.polygon([*near, far], shaded(wood, 0.72))
    for x in _spread(painting, 0.9, 1.7, rng):
        FURNITURE[rng.integers(len(FURNITURE))](painting, x, floor, rng)
    painting.roughen(rng.uniform(1, 3), painting.top, rng)


def _garden(painting: Painting, rng: np.random.Generator) -> None:
    horizon = rng.uniform(0.4, 0.7)
    sky = tone(rng.uniform(0.52, 0.6), rng.uniform(0.2, 0.5), rng.uniform(0.8, 1))
    painting.gradient(painting.bottom, painting.top, shaded(sky, 1.25), sky)
    for x in _spread(painting, 0.7, 1.9, rng):
        _cloud(painting, x, rng)
    hue = rng.uniform(0.2, 0.36)
    for layer in range(3):
        haze = tone(hue + 0.1 * (1 - layer / 2), 0.24 + 0.1 * layer, 0.78 - 0.08 * layer)
        _hills(painting, horizon + 0.22 * (2 - layer), haze, rng)
    for x in _spread(painting, 0.8, 2.2, rng):
        leaves = tone(hue + rng.uniform(-0.06, 0.06), 0.45, rng.uniform(0.45, 0.65))
        _tree(painting, x, horizon, leaves, rng)
    grass = tone(hue, rng.uniform(0.3, 0.5), rng.uniform(0.55, 0.75))
    painting.gradient(painting.bottom, horizon, grass, shaded(grass, 0.85))
    if rng.uniform() < 0.6:
        path = tone(0.1, rng.uniform(0.1, 0.35), rng.uniform(0.6, 0.85))
        painting.box(painting.left, -0.16, painting.right, 0.14, path)
    painting.roughen(rng.uniform(4, 8), horizon, rng)


def _cloud(painting: Painting, x: float, rng: np.random.Generator) -> None:
    y, size = rng.uniform(1.7, 2.6), rng.uniform(0.15, 0.3)
    for step in range(-2, 3):
        lift = rng.uniform(0, 0.3) * size
        painting.blob(x + 0.6 * step * size, y + lift, size, (250, 250, 252), 0.5)


def _hills(painting: Painting, low: float, colour: Colour, rng: np.random.Generator) -> None:
    rise, pitch, phase = rng.uniform(0.15, 0.4), rng.uniform(1.5, 4), rng.uniform(0, 6.3)
    xs = np.linspace(painting.left, painting.right, 60)
    ys = low + rise * (0.5 + 0.5 * np.sin(2 * np.pi * xs / pitch + phase))
    ridge = zip(xs.tolist(), ys.tolist(), strict=True)
    feet = [(painting.right, painting.bottom), (painting.left, painting.bottom)]
    painting.polygon([*ridge, *feet], colour)


def _tree(
    painting: Painting, x: float, low: float, leaves: Colour, rng: np.random.Generator
) -> None:
    tall = rng.uniform(0.9, 1.7)
    painting.box(x - 0.05, low - 0.05, x + 0.05, low + tall * 0.6, (92, 68, 48))
    for dx, dy in rng.normal(0, 0.14 * tall, (9, 2)).tolist():
        green = shaded(leaves, rng.uniform(0.85, 1.2))
        painting.blob(x + dx, low + 0.8 * tall + dy, 0.2 * tall, green)


def _street(painting: Painting, rng: np.random.Generator) -> None:
    kerb = rng.uniform(0.22, 0.4)
    sky = tone(0.57, rng.uniform(0.1, 0.4), 0.92)
    painting.gradient(painting.bottom, painting.top, (235, 228, 214), sky)
    left = painting.left - rng.uniform(0, 1)
    while left < painting.right:
        right = left + rng.uniform(0.9, 1.8)
        _house(painting, left, right, kerb, rng)
        left = right
    paving = tone(rng.uniform(0.05, 0.65), rng.uniform(0, 0.12), rng.uniform(0.5, 0.75))
    painting.gradient(painting.bottom, kerb, paving, shaded(paving, 0.86))
    for x in np.arange(painting.left, painting.right + 0.3, 0.5).tolist():
        near = [(x - 0.25, painting.bottom), (x - 0.27, painting.bottom)]
        painting.polygon([(x, kerb), (x + 0.012, kerb), *near], shaded(paving, 0.78))
    painting.box(painting.left, kerb - 0.03, painting.right, kerb, shaded(paving, 0.65))
    painting.roughen(rng.uniform(2, 4), painting.top, rng)


def _house(
    painting: Painting, left: float, right: float, low: float, rng: np.random.Generator
) -> None:
    top = low + rng.uniform(1.5, 2.9)
    front = tone(rng.uniform(0, 0.14), rng.uniform(0.1, 0.45), rng.uniform(0.5, 0.85))
    glass = tone(0.58, rng.uniform(0.1, 0.4), rng.uniform(0.35, 0.9))
    painting.box(left, low, right, top, front)
    painting.box(left, top - 0.06, right, top, shaded(front, 0.75))
    for y in np.arange(low + 0.45, top - 0.45, 0.6).tolist():
        for x in np.arange(left + 0.16, right - 0.3, 0.45).tolist():
            painting.box(x - 0.025, y - 0.025, x + 0.265, y + 0.365, shaded(front, 1.25))
            painting.box(x, y, x + 0.24, y + 0.34, shaded(glass, rng.uniform(0.8, 1.1)))


def _studio(painting: Painting, rng: np.random.Generator) -> None:
    cloth = tone(rng.uniform(), rng.uniform(0.03, 0.35), rng.uniform(0.6, 0.95))
    bend = rng.uniform(0.2, 0.45)
    painting.gradient(painting.bottom, bend, cloth, shaded(cloth, 0.95))
    painting.gradient(bend, painting.top, shaded(cloth, 0.88), shaded(cloth, 0.8))
    painting.spotlight((painting.left + painting.right) / 2, 0.9, 2.2, rng.uniform(0.3, 0.6))
    painting.roughen(rng.uniform(0.5, 1.5), painting.top, rng)
