"""Tables of text: our own, a line an event; and labels by frame, of DeepEthogram and MS-TCN."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from pipeline.errors import DataError
from pipeline.manifest.annotation import merged
from pipeline.manifest.rows import SPLITS
from pipeline.sources.events.event import Draft, Event, Notice, Recording, time_of
from pipeline.sources.official import split_of
from pipeline.tables import Line, Table, lines_of
from pipeline.text import counted, listed

NEEDED = ("video", "start_seconds", "end_seconds", "label")
WATCHED = "*"
"""Stands for the label where a line says that somebody watched; before a label, for that class."""
IN_PART = ((0.0, 0.0),)
"""What was watched, where nothing more is known than that it was not the whole."""
NO_LINES = "table without lines"
"""Kind of notice of a table that holds no events, if there is a video of its name."""

_KNOWN = (*NEEDED, "subject", "notes", "group", "split")

BACKGROUND: Final = "background"
"""The label of frames in which nothing happens."""

_INDEX: Final = ("", "unnamed: 0", "frame")
_CELLS: Final = {"0": 0, "1": 1, "-1": -1, "0.0": 0, "1.0": 1, "-1.0": -1}
_T = TypeVar("_T", bound=Hashable)


def read_own_table(text: str, path: Path) -> list[Recording]:
    """Reads the columns video, start_seconds, end_seconds, label and, if need be, others.

    The others are subject, group and split; group and split are those of the whole video and need
    to stand in one of its lines only. Without an end, an event is a point. A line with a video
    alone says that nothing happens in it; so does a table without lines, of the video that is named
    like the file. A line with the label * says that somebody watched from then to then: what of it
    is not marked does not happen. One with the label * walk says so of the class walk alone. Of a
    video that has such lines, no more is known than they say, and that its events happen.

    Raises:
        DataError: A column is missing, or a line is not as expected.
    """
    table = Table(lines_of(text, path), path, *NEEDED)
    unknown = [name for name in table.columns if name and name not in _KNOWN]
    drafts: dict[str, Draft] = {}
    for line, cells in table:
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
    recordings = [draft.done() for draft in drafts.values()]
    labels = {event.label for each in recordings for event in each.events}
    return [_known(_without_class(each, labels, path)) for each in recordings]


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
    watched = watched_class(label)
    if watched is None:
        draft.add(line.place, first, last, label, cells.get("subject", ""), point=not end)
        return
    if last < first:
        raise DataError(f"{line.place}: expected a time that ends after its start.")
    known, known_of = (draft.fields.setdefault(name, ()) for name in ("known", "known_of"))
    if watched:
        draft.fields["known_of"] = (*known_of, Event(first, last, watched))
    else:
        draft.fields["known"] = (*known, (first, last))


def watched_class(label: str) -> str | None:
    """The class of a line that says that somebody watched; empty: all. None: it is an event.

    Example:
        >>> [watched_class(label) for label in ("*", "* walk", "walk", "*walk")]
        ['', 'walk', None, None]
    """
    mark, _, name = label.strip().partition(" ")
    return name.strip() if mark == WATCHED else None


def _without_class(recording: Recording, labels: set[str], path: Path) -> Recording:
    """Tells of what is said of classes that no event has: a misspelt one says nothing of any."""
    names = sorted({event.label for event in recording.known_of} - labels)
    for name in names:
        text = f"{path}: {WATCHED} {name}, and no event of the table is called so"
        recording = recording.telling(Notice("class without events", text))
    return recording


def _known(recording: Recording) -> Recording:
    """Of a recording that was watched in part, events are known to happen, and no more."""
    if recording.known is None:
        return recording
    known_of = (*recording.known_of, *recording.events)
    return dataclasses.replace(recording, known=merged(recording.known), known_of=known_of)


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
    draft = _frames_of(path, path.stem.removesuffix("_labels"), len(frames))
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
    draft = _frames_of(path, path.stem, len(labels))
    for start, end, label in _runs(labels):
        if label != BACKGROUND:
            draft.add(f"{path}, line {start + 1}", start, end, label, point=False)
    return [draft.done()]


def is_frame_labels(text: str) -> bool:
    """Whether lines are single words of which most repeat the one before."""
    labels = [line.split() for line in text.rstrip().split("\n")]
    num_runs = sum(1 for _ in _runs(map(tuple, labels)))
    return max(map(len, labels)) == 1 and 2 * num_runs <= len(labels)


def _frames_of(path: Path, media: str, num_frames: int) -> Draft:
    return Draft(media, path.name, unit="frames", duration_seconds=float(num_frames))


def _runs(values: Iterable[_T]) -> Iterator[tuple[int, int, _T]]:
    """Yields where each run of equal values starts and ends, and the value."""
    start = 0
    for value, group in itertools.groupby(values):
        end = start + sum(1 for _ in group)
        yield start, end, value
        start = end
