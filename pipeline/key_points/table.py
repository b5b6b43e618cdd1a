"""What a tool found in a video, whatever it wrote it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating[Any]]

_MOST_FRAMES: Final = 10_000_000


class Head(NamedTuple):
    """What a table is of.

    Attributes:
        names: Of the points, in its order.
        individuals: How many there are columns or tracks of.
    """

    names: tuple[str, ...]
    individuals: int


@dataclass(frozen=True)
class Table:
    """Points of the individuals of a video, frame by frame.

    Attributes:
        names: Of the points (N).
        points: float32 (F, I, N, 3), by the number of the frame in its file, from 0: x and y in
            pixels, and likelihood from 0 to 1; all 0 where a point is missing.
        is_whole: Whether it has a row for each frame of the video, also where nobody is seen.
    """

    names: tuple[str, ...]
    points: Floats
    is_whole: bool


class NotATableError(Exception):
    """A file that cannot be read as a table; the reason, and what to do."""


def clean(xy: Values, likelihood: Values | None = None) -> Floats:
    """Points as of `Table`, float32 (..., 3), of what a tool wrote.

    Args:
        xy: (..., 2), in pixels; NaN where a point is missing.
        likelihood: (...); NaN where a person placed the point. None: so it was everywhere.
    """
    there = np.isfinite(xy).all(axis=-1)
    sure = np.ones(there.shape) if likelihood is None else np.nan_to_num(likelihood, nan=1.0)
    points = np.concatenate([xy, np.clip(sure, 0, 1)[..., None]], axis=-1)
    points[~there | (sure <= 0)] = 0
    return points.astype(np.float32)


def frame_number(text: str, line: int) -> int:
    """The number of a frame in a row of a table.

    Raises:
        NotATableError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not number.is_integer() or not 0 <= number < _MOST_FRAMES:
        raise NotATableError(
            f"line {line}: expected the number of a frame of a video, got {text[:40]!r}."
        )
    return int(number)


def numbers(cells: Sequence[str], line: int) -> list[float]:
    """Cells as numbers; NaN where they are empty.

    Raises:
        NotATableError: One is something else.
    """
    try:
        return [float(cell or "nan") for cell in cells]
    except ValueError as error:
        raise NotATableError(f"line {line}: expected numbers: {error}.") from None
