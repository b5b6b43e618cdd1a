"""Things: a chair to sit on, a box to carry."""

from __future__ import annotations

import numpy as np

from pipeline.sources.demo.drawing import Band, Solid
from pipeline.sources.demo.figure import FloatArray
from pipeline.sources.demo.wardrobe import WOOD


def chair(seat: FloatArray, height: float, rng: np.random.Generator) -> list[Solid]:
    """A chair, or a stool without a back.

    Args:
        seat: float64 (3,), the middle of the top of the seat.
        height: Of whom it is made for.
        rng: Draws its make.
    """
    wide, deep, thin = 0.115 * height, 0.12 * height, 0.011 * height
    x, _, z = seat
    top = seat[1] - thin
    parts = [_plate((x, top, z - deep), (x, top, z + deep), (wide, 0, 0), thin)]
    parts += [
        _rod((x + side, top, z + end), (x + side, thin, z + end), thin)
        for side in (-wide, wide)
        for end in (-deep, deep)
    ]
    if rng.uniform() < 0.7:
        high, low = top + rng.uniform(0.22, 0.3) * height, top + rng.uniform(0.04, 0.12) * height
        back = z - 1.15 * deep
        parts += [
            _rod((x + side, top, z - deep), (x + side, high, back), thin) for side in (-wide, wide)
        ]
        parts.append(_plate((x, low, z - 1.05 * deep), (x, high, back), (wide, 0, 0), thin))
    return parts


def box(centre: FloatArray, half: FloatArray, colour: int, tape: int) -> list[Solid]:
    """A box with a tape over its lid; its bottom and its back are left out.

    Args:
        centre: float64 (T, 3).
        half: Half its edges, float64 (3,).
        colour: Number of its colour.
        tape: Number of the tape's colour.
    """
    edge = 0.012
    x, y, z = np.diag(half - edge)
    faces = ((y, x, z, (Band(0.4, 0.6, tape),)), (z, y, x, ()), (x, y, z, ()), (-x, y, z, ()))
    solids = []
    for outward, along, across, bands in faces:
        start, end = centre + outward - along, centre + outward + along
        wide = np.broadcast_to(across, start.shape)
        solids.append(Solid(start, end, (edge, edge), colour, wide, bands=bands))
    return solids


Point = tuple[float, float, float]


def _rod(start: Point, end: Point, radius: float) -> Solid:
    return Solid(np.array([start]), np.array([end]), (radius, radius), WOOD)


def _plate(start: Point, end: Point, across: Point, radius: float) -> Solid:
    return Solid(np.array([start]), np.array([end]), (radius, radius), WOOD, np.array([across]))
