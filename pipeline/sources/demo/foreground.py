"""Things that now and then stand before the figure and hide a part of it."""

from __future__ import annotations

import numpy as np

from pipeline.sources.demo.furniture import plant
from pipeline.sources.demo.painting import Bounds, Painting, shaded, tone


def paint_foreground(
    bounds: Bounds, scale: float, rng: np.random.Generator
) -> tuple[Painting, Painting] | None:
    """Paints a pillar, a plant or the edge of a table.

    Args:
        bounds: What can be seen.
        scale: Pixels per metre.
        rng: Draws whether there is something, and what.

    Returns:
        What is seen, and where it covers the figure (255 or 0); None where nothing is.
    """
    if rng.uniform() > 0.15:
        return None
    painting, cover = Painting(bounds, scale), Painting(bounds, scale)
    half = (painting.right - painting.left) / 2
    x = painting.left + half * (1 + rng.choice([-1, 1]) * rng.uniform(0.25, 0.75))
    painters = (_pillar, _plant, _table)
    painters[rng.integers(len(painters))](painting, x, rng)
    cover.image[painting.image.any(axis=2)] = 255
    return painting, cover


def _pillar(painting: Painting, x: float, rng: np.random.Generator) -> None:
    colour = tone(rng.uniform(), rng.uniform(0.05, 0.4), rng.uniform(0.25, 0.7))
    wide = rng.uniform(0.1, 0.22)
    for strip in range(8):
        left, light = x + wide * (strip / 8 - 0.5), 1.25 - 0.09 * strip
        painting.box(left, painting.bottom, left + wide / 6, painting.top, shaded(colour, light))


def _plant(painting: Painting, x: float, rng: np.random.Generator) -> None:
    plant(painting, x, painting.bottom - 0.05, rng)


def _table(painting: Painting, _: float, rng: np.random.Generator) -> None:
    colour = tone(rng.uniform(0.02, 0.12), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.8))
    edge = rng.uniform(-0.08, 0.12)
    painting.box(painting.left, painting.bottom, painting.right, edge, shaded(colour, 0.75))
    painting.box(painting.left, edge - 0.05, painting.right, edge, colour)
