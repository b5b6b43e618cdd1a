"""Smooth curves through given points, and the like."""

from __future__ import annotations

import numpy as np

from pipeline.sources.demo.figure import FloatArray


def interpolate(times: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    """Smooth, without overshoot: cubic Hermite pieces, level at the ends and at every extremum."""
    spans = np.diff(times)[:, None]
    slopes = np.diff(values, axis=0) / spans
    before, after = slopes[:-1], slopes[1:]
    tangents = np.zeros_like(values)
    np.divide(2 * before * after, before + after, out=tangents[1:-1], where=before * after > 0)
    piece = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(spans) - 1)
    h = spans[piece]
    s = np.clip((at[:, None] - times[piece][:, None]) / h, 0, 1)
    return (
        values[piece]
        + (values[piece + 1] - values[piece]) * s**2 * (3 - 2 * s)
        + h * s * (1 - s) * (tangents[piece] * (1 - s) - tangents[piece + 1] * s)
    )


def cycle(phase: FloatArray, *keys: tuple[float, float]) -> FloatArray:
    """A periodic curve in radians through (phase, degrees)."""
    times, degrees = (np.array(column) for column in zip(*keys, strict=True))
    times = np.concatenate([times - 1, times, times + 1])
    return interpolate(times, np.radians(np.tile(degrees, 3))[:, None], phase)[:, 0]


def plateau(u: FloatArray, edge: float) -> FloatArray:
    """Rises from 0 to 1 within `edge`, and falls back within `edge` of the end."""
    s = np.clip(np.minimum(u, 1 - u) / edge, 0, 1)
    return s * s * (3 - 2 * s)


def row_at(rows: FloatArray, position: float) -> FloatArray:
    """The row at a position between rows, linearly."""
    index = min(int(position), len(rows) - 2)
    share = position - index
    return (1 - share) * rows[index] + share * rows[index + 1]
