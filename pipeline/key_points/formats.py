"""Tables of DeepLabCut, and of what writes as it does, such as Lightning Pose, and of SLEAP.

Those of DeepLabCut are CSV. Three rows at the top name each column: scorer, bodyparts, coords; four
where there may be several animals, with individuals after the scorer. Then there is a row a frame,
which begins with its number. Those of SLEAP are what it exports for analysis, HDF5 or CSV.
"""

from __future__ import annotations

import itertools
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from pipeline.key_points.table import (
    Head,
    NotATableError,
    Table,
    clean,
    frame_number,
    numbers,
)
from pipeline.tables import Line, read_lines

if TYPE_CHECKING:
    import h5py

DEEPLABCUT_FIRST = "scorer"
"""The first cell of a file of DeepLabCut."""

_LEVELS = (["scorer", "bodyparts", "coords"], ["scorer", "individuals", "bodyparts", "coords"])
_NO_ANIMAL = "single"
"""Whose points are those of the place: DeepLabCut's unique body parts."""

SLEAP_FRAME: Final = "frame_idx"
"""The column of its CSV that a file of SLEAP has."""

_TRACK = "track"
_AXES = ("frame", "track", "node", "xy")
_STORED = ("track", "xy", "node", "frame")
"""The axes as SLEAP stores them; sleap-io can store others, and then says so."""

_PANDAS = (
    "it is no analysis file of SLEAP. A table of DeepLabCut is read as CSV: analyze the video with "
    "save_as_csv=True, or deeplabcut.analyze_videos_converth5_to_csv(FOLDER)."
)


class _DeepLabCutColumns(NamedTuple):
    """Which columns hold x, y, and likelihood if there is any, int (I, N) each."""

    head: Head
    places: list[np.ndarray]
    width: int


def read_deeplabcut_head(path: Path) -> Head:
    """What a table of DeepLabCut is of.

    Raises:
        NotATableError: It is none.
    """
    return _deeplabcut_columns(read_lines(path, exact=True)).head


def read_deeplabcut(path: Path) -> Table:
    """Reads a table of DeepLabCut.

    Raises:
        NotATableError: It is none.
    """
    rows = read_lines(path, exact=True)
    columns = _deeplabcut_columns(rows)
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


def _deeplabcut_columns(rows: Iterator[Line]) -> _DeepLabCutColumns:
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
    return _by_individual(places)


def _by_individual(places: dict[tuple[str, str, str], int]) -> _DeepLabCutColumns:
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
    return _DeepLabCutColumns(Head(names, len(animals)), found, max(places.values()) + 1)


def read_sleap_h5_head(path: Path) -> Head:
    """What a table of SLEAP in HDF5 is of.

    Raises:
        NotATableError: It is none.
    """
    with _opened(path) as file:
        axes = _axes(file)
        return Head(_node_names(file), file["tracks"].shape[axes.index("track")])


def read_sleap_h5(path: Path) -> Table:
    """Reads a table of SLEAP in HDF5.

    Raises:
        NotATableError: It is none.
    """
    with _opened(path) as file:
        axes, names = _axes(file), _node_names(file)
        xy = _in_order(file["tracks"], axes, _AXES)
        scores = None
        if "point_scores" in file:
            without = [axis for axis in axes if axis != "xy"]
            scores = _in_order(file["point_scores"], without, _AXES[:3])
    if xy.shape[2:] != (len(names), 2) or (scores is not None and scores.shape != xy.shape[:3]):
        raise NotATableError("its tracks, point_scores and node_names do not fit each other.")
    return Table(names, clean(xy, scores), is_whole=False)


def _opened(path: Path) -> h5py.File:
    import h5py  # takes a while

    try:
        file = h5py.File(path, "r")
    except OSError:
        raise NotATableError("it is no HDF5 file, or damaged.") from None
    if not {"tracks", "node_names"} <= set(file):
        file.close()
        raise NotATableError(_PANDAS)
    return file


def _axes(file: h5py.File) -> list[str]:
    tracks = file["tracks"]
    if "dims" in tracks.attrs:
        axes = json.loads(tracks.attrs["dims"])
    else:
        axes = list(
            _STORED if file.attrs.get("transpose", True) else ("frame", "node", "xy", "track")
        )
    if sorted(axes) != sorted(_AXES) or tracks.ndim != len(_AXES):
        raise NotATableError(f"its tracks have other axes than {', '.join(_AXES)}.")
    return axes


def _in_order(values: h5py.Dataset, axes: Sequence[str], wanted: Sequence[str]) -> Any:
    if values.ndim != len(axes):
        raise NotATableError(f"{values.name[1:]} has other axes than {', '.join(wanted)}.")
    return np.transpose(values[()], [axes.index(axis) for axis in wanted])


def _node_names(file: h5py.File) -> tuple[str, ...]:
    names = file["node_names"][()].tolist()
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def read_sleap_csv_head(path: Path) -> Head:
    """What a table of SLEAP in CSV is of.

    Raises:
        NotATableError: It is none.
    """
    rows = read_lines(path, exact=True)
    columns = _SleapColumns(rows)
    return Head(columns.names, len({owner for _, owner, _, _ in columns.owned(rows)}))


def read_sleap_csv(path: Path) -> Table:
    """Reads a table of SLEAP in CSV: a row for each individual that is seen in a frame.

    Raises:
        NotATableError: It is none.
    """
    rows = read_lines(path, exact=True)
    columns = _SleapColumns(rows)
    places: dict[tuple[str, int], int] = {}
    frames, owners, values = [], [], []
    for frame, owner, row, line in columns.owned(rows):
        frames.append(frame)
        owners.append(places.setdefault(owner, len(places)))
        values.append(numbers([row[number] for number in columns.chosen], line))
    if not frames:
        raise NotATableError("it has no row of a frame.")
    found = np.array(values).reshape(len(frames), len(columns.names), -1)
    sure = found[..., 2] if found.shape[2] == 3 else None
    points = np.zeros((max(frames) + 1, len(places), *found.shape[1:2], 3), np.float32)
    points[frames, owners] = clean(found[..., :2], sure)
    return Table(columns.names, points, is_whole=False)


class _SleapColumns:
    """The columns of a CSV file by their names; `chosen` has x, y and any score of each point."""

    def __init__(self, rows: Iterator[Line]) -> None:
        header = next((row.cells for row in rows), [])
        place = {name: number for number, name in enumerate(header)}
        self.names = tuple(name[:-2] for name in header if name.endswith(".x"))
        kinds = (
            ("x", "y", "score") if any(f"{n}.score" in place for n in self.names) else ("x", "y")
        )
        wanted = [SLEAP_FRAME, *(f"{name}.{kind}" for name in self.names for kind in kinds)]
        missing = [name for name in wanted if name not in place]
        if missing or not self.names:
            raise NotATableError(f"it has no column {missing[0] if missing else 'NODE.x'}.")
        self._frame, *self.chosen = (place[name] for name in wanted)
        self._track, self._width = place.get(_TRACK), len(header)

    def owned(self, rows: Iterator[Line]) -> Iterator[tuple[int, tuple[str, int], list[str], int]]:
        """Frame, individual, cells and line of each row.

        Those without a track are told apart by their order in the frame.
        """
        last, seen = -1, Counter[str]()
        for _, line, row in rows:
            if len(row) != self._width:
                raise NotATableError(f"line {line}: expected {self._width} cells, got {len(row)}.")
            frame = frame_number(row[self._frame], line)
            if frame != last:
                last, seen = frame, Counter()
            track = "" if self._track is None else row[self._track]
            yield frame, (track, seen[track]), row, line
            seen[track] += 1
