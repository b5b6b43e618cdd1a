"""Tables of SLEAP: what it exports for analysis, HDF5 or CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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

if TYPE_CHECKING:
    import h5py

FRAME: Final = "frame_idx"
"""The column of its CSV that such a file has."""

_TRACK = "track"
_AXES = ("frame", "track", "node", "xy")
_STORED = ("track", "xy", "node", "frame")
"""The axes as SLEAP stores them; sleap-io can store others, and then says so."""

_PANDAS = (
    "it is no analysis file of SLEAP. A table of DeepLabCut is read as CSV: analyze the video with "
    "save_as_csv=True, or deeplabcut.analyze_videos_converth5_to_csv(FOLDER)."
)


def read_sleap_h5_head(path: Path) -> Head:
    """What a table in HDF5 is of.

    Raises:
        NotATableError: It is none.
    """
    with _opened(path) as file:
        axes = _axes(file)
        return Head(_node_names(file), file["tracks"].shape[axes.index("track")])


def read_sleap_h5(path: Path) -> Table:
    """Reads a table in HDF5.

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
    """What a table in CSV is of.

    Raises:
        NotATableError: It is none.
    """
    rows = rows_of(path)
    columns = _Columns(rows)
    return Head(columns.names, len({owner for _, owner, _, _ in columns.owned(rows)}))


def read_sleap_csv(path: Path) -> Table:
    """Reads a table in CSV: a row for each individual that is seen in a frame.

    Raises:
        NotATableError: It is none.
    """
    rows = rows_of(path)
    columns = _Columns(rows)
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


class _Columns:
    """The columns of a CSV file by their names; `chosen` has x, y and any score of each point."""

    def __init__(self, rows: Iterator[Line]) -> None:
        header = next((row.cells for row in rows), [])
        place = {name: number for number, name in enumerate(header)}
        self.names = tuple(name[:-2] for name in header if name.endswith(".x"))
        kinds = (
            ("x", "y", "score") if any(f"{n}.score" in place for n in self.names) else ("x", "y")
        )
        wanted = [FRAME, *(f"{name}.{kind}" for name in self.names for kind in kinds)]
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
