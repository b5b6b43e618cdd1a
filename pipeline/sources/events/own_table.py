"""Our own table of events: a line each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.errors import DataError
from pipeline.manifest.annotation import merged
from pipeline.manifest.rows import SPLITS
from pipeline.sources.annotations import split_of
from pipeline.sources.events.event import Draft, Recording, time_of
from pipeline.sources.events.text import Line, read_columns, read_lines, with_columns
from pipeline.text import listed

NEEDED = ("video", "start_seconds", "end_seconds", "label")
WATCHED = "*"
"""Stands for the label where a line says that somebody watched, and no more."""
NO_LINES = "table without lines"
"""Kind of notice of a table that holds no events, if there is a video of its name."""

_KNOWN = (*NEEDED, "subject", "notes", "group", "split")


def read_own_table(text: str, path: Path) -> list[Recording]:
    """Reads the columns video, start_seconds, end_seconds, label and, if need be, others.

    The others are subject, group and split; group and split are those of the whole video and need
    to stand in one of its lines only. Without an end, an event is a point. A line with a video
    alone says that nothing happens in it; so does a table without lines, of the video that is named
    like the file. A line with the label * says that somebody watched from then to then; of a
    video that has such lines, nothing is known outside them and its events.

    Raises:
        DataError: A column is missing, or a line is not as expected.
    """
    lines = read_lines(text, path)
    columns = read_columns(next(lines), *NEEDED)
    unknown = [name for name in columns if name and name not in _KNOWN]
    drafts: dict[str, Draft] = {}
    for line in lines:
        cells = with_columns(line, columns)
        if not cells["video"]:
            raise DataError(f"{line.place}: expected a video, got an empty cell.")
        if cells["video"] not in drafts:
            draft = drafts[cells["video"]] = Draft(cells["video"], path.name, group="", split="")
            if unknown:
                draft.tell("column left alone", f"{path}: {listed(unknown)}")
        _add(drafts[cells["video"]], line, cells)
    if not drafts:
        draft = drafts[path.stem] = Draft(path.stem, path.name)
        draft.tell(NO_LINES, f"{path}: there are only the names of columns")
    return [_known(draft.done()) for draft in drafts.values()]


def _add(draft: Draft, line: Line, cells: dict[str, str]) -> None:
    split = split_of(cells.get("split", "")) or ""
    if cells.get("split") and not split:
        raise DataError(
            f"{line.place}: expected a split of {', '.join(SPLITS)} or an empty cell, "
            f"got {cells['split']!r}."
        )
    for field, value in (("group", cells.get("group", "")), ("split", split)):
        if value and draft.fields[field] not in ("", value):
            raise DataError(
                f"{line.place}: expected one {field} for {cells['video']}, "
                f"got {draft.fields[field]!r} and {value!r}."
            )
        draft.fields[field] = value or draft.fields[field]
    start, end, label = (cells[name] for name in NEEDED[1:])
    if not (start or end or label):
        return
    if not label:
        raise DataError(f"{line.place}: expected a label, got an empty cell.")
    first = time_of(line.place, start, "start_seconds", least=0)
    last = time_of(line.place, end, "end_seconds", least=0) if end else first
    if label == WATCHED:
        if last < first:
            raise DataError(f"{line.place}: expected a time that ends after its start.")
        draft.fields["known"] = (*(draft.fields.get("known") or ()), (first, last))
        return
    draft.add(line.place, first, last, label, cells.get("subject", ""), point=not end)


def _known(recording: Recording) -> Recording:
    """Nobody marks an event without having watched it."""
    if recording.known is None:
        return recording
    events = tuple((each.start_seconds, each.end_seconds) for each in recording.events)
    return dataclasses.replace(recording, known=merged((*recording.known, *events)))
