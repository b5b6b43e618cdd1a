"""The manifest of a prepared data set: what is said of its videos, and which frames are theirs."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pipeline.errors import DataError
from pipeline.manifest.annotation import Annotation
from pipeline.manifest.rows import Labelling, Row, relative_path

_COLUMNS: Final = (
    *("path", "label", "group", "split", "start_seconds", "end_seconds"),
    *("video", "frames", "first_frame", "num_frames", "events"),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A video of a prepared data set, or a recording: frames in a row, and what is said of them.

    Attributes:
        row: Label or events, group and split.
        name: The file from the folder of all videos on, and what part of it the video is.
        frames: Key of the frames of its file, see `pipeline.frames.store.frames_key`.
        first_frame: Number of its first frame among them.
        num_frames: How many there are, 1 or more.
    """

    row: Row
    name: str
    frames: str
    first_frame: int
    num_frames: int


def write_clips(clips: Iterable[Clip], path: Path) -> None:
    """Writes the manifest of a data set as CSV: UTF-8, a line a video.

    The path of a video below the folder of the CSV file is written relative to that folder, with
    forward slashes, so that both can move together; any other path stays absolute. Events are JSON.
    """
    folder = path.absolute().parent
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for clip in clips:
            row = clip.row
            said = (relative_path(row.path, folder), row.label, row.group, row.split)
            stored = (clip.name, clip.frames, clip.first_frame, clip.num_frames)
            events = (
                json.dumps(_fields(row.annotation), ensure_ascii=False) if row.annotation else ""
            )
            writer.writerow((*said, *row.trim_cells, *stored, events))


def read_clips(path: Path, labelling: Labelling) -> tuple[Clip, ...]:
    """What `write_clips` wrote.

    Raises:
        DataError: It is damaged.
    """
    folder = path.absolute().parent
    usual = csv.field_size_limit(2**31 - 1)  # The events of a recording are one cell.
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_clip(cells, folder, labelling) for cells in csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged: {error}") from None
    finally:
        csv.field_size_limit(usual)


def _clip(cells: dict[str, str], folder: Path, labelling: Labelling) -> Clip:
    row = Row(
        path=str(folder / cells["path"]),
        label=sys.intern(cells["label"]),
        group=sys.intern(cells["group"]),
        split=sys.intern(cells["split"]),  # type: ignore[arg-type]  # It was written as one.
        start_seconds=float(cells["start_seconds"]),
        end_seconds=float(cells["end_seconds"] or math.inf),
    )
    if labelling != "one":
        annotation = _annotation(json.loads(cells["events"])) if cells["events"] else None
        row = row.labelled([each for each in row.label.split(";") if each], annotation)
    return Clip(
        row=row,
        name=cells["video"],
        frames=cells["frames"],
        first_frame=int(cells["first_frame"]),
        num_frames=int(cells["num_frames"]),
    )


def _fields(annotation: Annotation) -> dict[str, Any]:
    return {
        field.name: getattr(annotation, field.name)
        for field in dataclasses.fields(annotation)
        if getattr(annotation, field.name) != field.default
    }


def _annotation(content: dict[str, Any]) -> Annotation:
    said: dict[str, Any] = {
        name: tuple(map(tuple, value)) if isinstance(value, list) else value
        for name, value in content.items()
    }
    return Annotation(**said)
