"""The manifest: one row a video, or a part of one, with label, group and split."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.errors import DataError
from pipeline.manifest.annotation import Annotation
from pipeline.manifest.class_names import check_class_names
from pipeline.tables import Line, Table, read_lines
from pipeline.text import counted, listed, suggestion

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Labelling = Literal["one", "several", "frames"]
"""What is labelled: a video with one class, a video with several, or each frame."""

_BETWEEN_LABELS = ";"

_COLUMNS = ("path", "label", "group", "split")
TRIM = ("start_seconds", "end_seconds")
_SPLIT_NAMES: dict[str, Split | Literal[""]] = {
    "": "",
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class TableWarning(UserWarning):
    """Something in a table of videos that is perhaps not meant so."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One labelled video: a file, or what lies between two times of it.

    Attributes:
        path: The video file, absolute.
        label: Class name.
        group: What must not cross splits: the person, or the source video the clip was cut from.
        split: `train`, `val` or `test`; empty while the videos are not split yet.
        start_seconds: Where the video starts within the file, in seconds from its first frame.
        end_seconds: Where it ends, after `start_seconds`; infinite: at the end of the file.
        several: The classes of a video that may have several, or of the frames of a recording;
            `label` then names them all. None: it has the one.
        annotation: When which class holds, of a recording; empty where its data set knows that.
            None: the row is a video.
    """

    path: str
    label: str
    group: str
    split: Split | Literal[""] = ""
    start_seconds: float = 0.0
    end_seconds: float = math.inf
    several: tuple[str, ...] | None = None
    annotation: Annotation | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes."""
        return (self.label,) if self.several is None else self.several

    def labelled(self, names: Sequence[str], annotation: Annotation | None = None) -> Row:
        """The same with several classes, or with none."""
        label = _BETWEEN_LABELS.join(names)
        several = tuple(names)
        return dataclasses.replace(self, label=label, several=several, annotation=annotation)

    @property
    def is_trim(self) -> bool:
        """Whether the video is a part of its file."""
        return self.start_seconds > 0 or self.end_seconds < math.inf

    @property
    def trim_cells(self) -> tuple[float | str, float | str]:
        """The times as in a table of videos, where an empty cell is the end of the file."""
        return self.start_seconds, "" if self.end_seconds == math.inf else self.end_seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The videos of one data set, in a fixed order.

    Attributes:
        rows: One row a video.
        annotations: What files of events say, see `pipeline.sources.events.report`; else empty.
    """

    rows: tuple[Row, ...]
    annotations: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in sorted order; the index of a name is its label number."""
        return tuple(sorted({label for row in self.rows for label in row.labels}))

    @property
    def labelling(self) -> Labelling:
        """What is labelled."""
        if any(row.annotation for row in self.rows):
            return "frames"
        return "several" if any(row.several is not None for row in self.rows) else "one"

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in sorted order."""
        return tuple(sorted({row.group for row in self.rows}))

    @property
    def num_videos(self) -> dict[str, int]:
        """Videos of each split; a split without any is left out."""
        counts = Counter(row.split for row in self.rows)
        return {split: counts[split] for split in SPLITS if counts[split]}

    def check_classes(self, *, at_least: int = 2) -> None:
        """Makes sure that there is something to tell apart, and that lists can hold its names.

        Args:
            at_least: How many classes there must be.

        Raises:
            DataError: There are fewer, or `check_class_names` refuses a name.
        """
        check_class_names(self.class_names)
        if len(self.class_names) < at_least:
            raise DataError(f"expected two classes or more, got only {listed(self.class_names)!r}")

    def of_classes(self, names: Sequence[str]) -> Manifest:
        """Returns the rows of some classes.

        Raises:
            DataError: There is no such class, or the videos are without labels.
        """
        known = set(self.class_names) - {""}
        if not known:
            raise DataError("the videos have no labels to choose classes by; leave --classes out")
        for name in names:
            if name not in known:
                meant = suggestion(name, sorted(known), repr)
                raise DataError(f"no videos of class {name!r}. {meant}")
        kept = (_of_classes(row, names) for row in self.rows)
        return dataclasses.replace(self, rows=tuple(row for row in kept if row))

    def without_repeats(self) -> Manifest:
        """Returns the rows without those that are the same as another; a warning names them."""
        rows: dict[Row, None] = {}
        repeats = []
        for row in self.rows:
            if row in rows:
                repeats.append(row.path)
            rows[row] = None
        if repeats:
            message = f"left out {counted(len(repeats), 'row')}, the same as one before: "
            warnings.warn(message + listed(repeats, most=3), TableWarning, stacklevel=3)
        return dataclasses.replace(self, rows=tuple(rows))


def _of_classes(row: Row, names: Sequence[str]) -> Row | None:
    """A row as if there were no other classes; None where nothing is left of it."""
    if row.annotation:
        annotation = row.annotation.of_classes(names)
        return row.labelled(annotation.class_names, annotation)
    labels = tuple(label for label in row.labels if label in names)
    if row.several is None or not labels:
        return row if labels else None
    return row.labelled(labels)


def read_csv(
    path: str | os.PathLike[str], *, labelled: bool = True, several: bool = False
) -> Manifest:
    """Reads a manifest from a table, its cells divided by commas, semicolons or tabs.

    The columns are path and label and, if need be, group, split, start_seconds and end_seconds;
    others are left alone, with a warning where one was perhaps mistyped. Relative paths start at
    the folder of the table. Blanks around a label or a group do not count. Without a group, the
    file is its own: all parts of it stay in one split. Without splits, the videos are not split
    yet.

    Args:
        path: The file.
        labelled: Whether there must be the column label.
        several: Whether a label may be several, with semicolons between them, or empty.

    Raises:
        DataError: There is no such file, a column is missing or there twice, a line is not as
            expected, or there is none.
    """
    path = Path(path).absolute()
    needed = ("path", "label") if labelled else ("path",)
    table = Table(read_lines(path, exact=True), path, *needed)
    _warn_of_mistyped(path, table.columns)
    rows = tuple(_row(line, cells, several=several) for line, cells in table)
    if not rows:
        raise DataError(f"{path}: expected a line for each video, got only the names of columns.")
    return Manifest(rows=rows)


def relative_path(path: str, folder: str | os.PathLike[str]) -> str:
    """A path below a folder, both absolute, from there on with `/`; another one as it is."""
    try:
        return Path(path).relative_to(folder).as_posix()
    except ValueError:
        return path


def _warn_of_mistyped(path: Path, columns: Sequence[str]) -> None:
    known = (*_COLUMNS, *TRIM)
    unused = set(known) - set(columns)
    for name in sorted(set(columns) - set(known)):
        for meant in difflib.get_close_matches(name, unused, n=1, cutoff=0.75):
            message = f"{path}: the column {name!r} is left alone. Did you mean {meant!r}?"
            warnings.warn(message, TableWarning, stacklevel=3)


def _row(line: Line, cells: Mapping[str, str], *, several: bool) -> Row:
    place = line.place
    video, label, group = (cells.get(column, "") for column in ("path", "label", "group"))
    if not (video and (label or several or "label" not in cells)):
        hint = "" if not video or several else " With --multilabel a video may have no label."
        raise DataError(f"{place}: expected path and label, got an empty one.{hint}")
    split = cells.get("split", "")
    if split.strip().lower() not in _SPLIT_NAMES:
        raise DataError(
            f"{place}: expected a split of {', '.join(SPLITS)} or an empty cell, got {split!r}."
        )
    start, end = (cells.get(column, "") for column in TRIM)
    try:
        trim = _number(start or "0"), _number(end or "inf")
    except ValueError:
        trim = math.nan, math.nan
    if not 0 <= trim[0] < trim[1] or trim[0] == math.inf:
        raise DataError(
            f"{place}: expected start_seconds of 0 or more and end_seconds after it, "
            f"got {start!r} and {end!r}."
        )
    folder = line.path.parent
    file = str(folder / video)
    row = Row(
        path=file,
        label=sys.intern(label.strip()),  # It and the group are the same in many rows.
        group=sys.intern(group.strip() or relative_path(file, folder)),
        split=_SPLIT_NAMES[split.strip().lower()],
        start_seconds=trim[0],
        end_seconds=trim[1],
    )
    if not several:
        return row
    labels = {sys.intern(part.strip()) for part in label.split(_BETWEEN_LABELS)} - {""}
    return row.labelled(sorted(labels))


def _number(cell: str) -> float:
    """A number, which may have a comma for the decimal point."""
    return float(cell.replace(",", "."))
