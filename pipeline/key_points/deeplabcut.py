"""Tables of DeepLabCut, and of what writes as it does, such as Lightning Pose: CSV.

Three rows at the top name each column: scorer, bodyparts, coords; four where there may be several
animals, with individuals after the scorer. Then there is a row a frame, which begins with its
number.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.key_points.table import (
    Head,
    NotATableError,
    Table,
    clean,
    frame_number,
    numbers,
    rows_of,
)
from pipeline.tables import Line

FIRST = "scorer"
"""The first cell of such a file."""

_LEVELS = (["scorer", "bodyparts", "coords"], ["scorer", "individuals", "bodyparts", "coords"])
_NO_ANIMAL = "single"
"""Whose points are those of the place: DeepLabCut's unique body parts."""


class _Columns(NamedTuple):
    """Which columns hold x, y, and likelihood if there is any, int (I, N) each."""

    head: Head
    places: list[np.ndarray]
    width: int


def read_deeplabcut_head(path: Path) -> Head:
    """What a table is of.

    Raises:
        NotATableError: It is none.
    """
    return _columns(rows_of(path)).head


def read_deeplabcut(path: Path) -> Table:
    """Reads a table.

    Raises:
        NotATableError: It is none.
    """
    rows = rows_of(path)
    columns = _columns(rows)
    width = columns.width
    values, frames = array("d"), []
    for _, line, row in rows:
        if len(row) < width:
            raise NotATableError(f"line {line}: expected {width} cells, got {len(row)}.")
        frames.append(frame_number(row[0], line))
        values.extend(numbers(row[1:width], line))
    if not frames:
        raise NotATableError("it has no row of a frame.")
    table = np.frombuffer(values).reshape(len(frames), width - 1)
    x, y, *sure = (table[:, place - 1] for place in columns.places)
    xy = np.stack([x, y], axis=-1)
    points = np.zeros((max(frames) + 1, *xy.shape[1:3], 3), np.float32)
    points[frames] = clean(xy, *sure)
    return Table(columns.head.names, points, is_whole=True)


def _columns(rows: Iterator[Line]) -> _Columns:
    top = [row.cells for row in itertools.islice(rows, 3)]
    if len(top) == 3 and [row[:1] for row in top] != [[level] for level in _LEVELS[0]]:
        top += [row.cells for row in itertools.islice(rows, 1)]
    if [row[0] for row in top] not in _LEVELS:
        raise NotATableError(f"expected rows of {' or '.join(map(', '.join, _LEVELS))} at its top.")
    *_, parts, coords = top
    owners = top[1] if len(top) == 4 else [""] * len(parts)
    if not len(owners) == len(parts) == len(coords):
        raise NotATableError("the rows at its top are of different lengths.")
    places = {
        (owner, part, coord): number
        for number, (owner, part, coord) in enumerate(zip(owners, parts, coords, strict=True))
        if number
    }
    return _placed(places)


def _placed(places: dict[tuple[str, str, str], int]) -> _Columns:
    """Columns by individual, point, and x, y or likelihood."""
    animals = list(dict.fromkeys(owner for owner, _, _ in places))
    if len(animals) > 1 and _NO_ANIMAL in animals:
        animals.remove(_NO_ANIMAL)
    if not animals:
        raise NotATableError("it has no columns.")
    names = tuple(dict.fromkeys(part for owner, part, _ in places if owner == animals[0]))
    coords = ["x", "y"]
    if any(coord == "likelihood" for _, _, coord in places):
        coords.append("likelihood")
    try:
        found = [
            np.array([[places[owner, part, coord] for part in names] for owner in animals])
            for coord in coords
        ]
    except KeyError as error:
        owner, part, coord = error.args[0]
        whose = f" of {owner}" if owner else ""
        raise NotATableError(f"it has no {coord} of {part}{whose}.") from None
    return _Columns(Head(names, len(animals)), found, max(places.values()) + 1)
