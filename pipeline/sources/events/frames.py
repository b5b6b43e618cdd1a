"""Labels by frame: the table of DeepEthogram, and text with a label a line."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from pipeline.errors import DataError
from pipeline.sources.events.event import Draft, Recording
from pipeline.tables import Table, lines_of
from pipeline.text import counted

BACKGROUND: Final = "background"
"""The label of frames in which nothing happens."""

_INDEX: Final = ("", "unnamed: 0", "frame")
_CELLS: Final = {"0": 0, "1": 1, "-1": -1, "0.0": 0, "1.0": 1, "-1.0": -1}
_T = TypeVar("_T", bound=Hashable)


def read_deepethogram(text: str, path: Path) -> list[Recording]:
    """Reads a column a label and a line a frame: 1 where it holds, 0 where not, -1 if not known.

    The media file is called as the table, without `_labels`.

    Raises:
        DataError: There is no frame, or a cell is none of these.
    """
    table = Table(lines_of(text, path), path, BACKGROUND)
    labels = {
        column: name
        for column, name in zip(table.columns, table.header.cells, strict=True)
        if column not in (*_INDEX, BACKGROUND)
    }
    frames = []
    for line, cells in table:
        values = [_CELLS.get(cells[column]) for column in (*labels, BACKGROUND)]
        if None in values:
            raise DataError(
                f"{line.place}: expected 0, 1 or -1 below each label, got {', '.join(line.cells)}."
            )
        frames.append(values)
    if not frames:
        raise DataError(f"{path}: expected a line for each frame, got only the names of columns.")
    draft = _draft(path, path.stem.removesuffix("_labels"), len(frames))
    for index, label in enumerate(labels.values()):
        for start, end, value in _runs(values[index] for values in frames):
            if value == 1:
                draft.add(f"{path}, frame {start}", start, end, label, point=False)
    spans = list(_runs(-1 not in values for values in frames))
    if not all(is_known for *_, is_known in spans):
        draft.fields["known"] = tuple((start, end) for start, end, is_known in spans if is_known)
    odd = sum(-1 not in values and (1 in values[:-1]) == (values[-1] == 1) for values in frames)
    if odd:
        draft.tell(
            "background disagrees",
            f"{path}: {counted(odd, 'frame')} with a label and background, or with neither; the "
            "labels hold",
        )
    return [draft.done()]


def read_frame_labels(text: str, path: Path) -> list[Recording]:
    """Reads a label a line, which is that of a frame, as MS-TCN and its data sets have them.

    The media file is called as the text. Frames of `background` are no events.

    Raises:
        DataError: A line is empty.
    """
    labels = [line.strip() for line in text.rstrip().split("\n")]
    if "" in labels:
        raise DataError(
            f"{path}, line {labels.index('') + 1}: expected a label, got an empty line."
        )
    draft = _draft(path, path.stem, len(labels))
    for start, end, label in _runs(labels):
        if label != BACKGROUND:
            draft.add(f"{path}, line {start + 1}", start, end, label, point=False)
    return [draft.done()]


def is_frame_labels(text: str) -> bool:
    """Whether lines are single words of which most repeat the one before."""
    labels = [line.split() for line in text.rstrip().split("\n")]
    num_runs = sum(1 for _ in _runs(map(tuple, labels)))
    return max(map(len, labels)) == 1 and 2 * num_runs <= len(labels)


def _draft(path: Path, media: str, num_frames: int) -> Draft:
    return Draft(media, path.name, unit="frames", duration_seconds=float(num_frames))


def _runs(values: Iterable[_T]) -> Iterator[tuple[int, int, _T]]:
    """Yields where each run of equal values starts and ends, and the value."""
    start = 0
    for value, group in itertools.groupby(values):
        end = start + sum(1 for _ in group)
        yield start, end, value
        start = end
