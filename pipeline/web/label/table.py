"""Events of recordings in the table that `prepare --source events` reads.

The table is the only place where they are. Each change reads it, writes it anew as a whole, and is
refused where the events of that video were changed meanwhile by somebody else. Columns and lines
that are not of that video stay as they are.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pipeline.manifest.annotation import merged
from pipeline.sources.events.text_tables import NEEDED, WATCHED, read_own_table, watched_class
from pipeline.web.errors import ChangedError
from pipeline.web.label.marked import MarkedEvent, VideoEvents, time_order
from pipeline.web.label.sheet import Row, Sheet, file_name, is_named, names_of, plain

NAME: Final = "events.csv"
"""Name of the table in the folder of its recordings."""

_COLUMNS: Final = (*NEEDED, "subject", "notes")


class EventsTable:
    """The table of a folder of recordings; it need not be there yet.

    Args:
        folder: The folder.

    Attributes:
        sheet: Its lines.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        check = functools.partial(read_own_table, path=path)
        self.sheet = Sheet(path, _COLUMNS, NEEDED, check, check_row=_check_row)

    def read(self, videos: Iterable[str]) -> dict[str, VideoEvents]:
        """The events of some videos, by the names of their files.

        Raises:
            DataError: The table cannot be read.
        """
        _, rows = self.sheet.read()
        by_name: dict[str, list[Row]] = {}
        for row in rows:
            by_name.setdefault(file_name(row["video"]), []).append(row)
        return {
            video: _events_of(
                [row for name in names_of(video) for row in by_name.get(name, ())], video
            )
            for video in videos
        }

    def save(self, video: str, events: VideoEvents, *, version: str) -> str:
        """Writes the events of a video, once they are on disk.

        Args:
            video: The name of its file.
            events: What is to stand there.
            version: That of the events that were changed to these.

        Returns:
            The version of the new ones.

        Raises:
            ChangedError: Somebody else changed them meanwhile.
            DataError: The table cannot be read.
            OSError: It cannot be written.
        """
        with self.sheet.alone():
            columns, rows = self.sheet.read()
            if _events_of(rows, video).version not in (version, events.version):
                raise ChangedError(
                    f"{video}: its events were changed in another window, or by another program"
                )
            self._replace(columns, rows, video, events)
        return events.version

    def add(self, video: str, events: VideoEvents) -> int:
        """Adds events to those of a video; returns how many were not there yet.

        Raises:
            DataError: The table cannot be read.
            OSError: It cannot be written.
        """
        with self.sheet.alone():
            columns, rows = self.sheet.read()
            before = _events_of(rows, video)
            # Whatever is noted of one that is there.
            known = {dataclasses.replace(event, notes="") for event in before.events}
            new = tuple(event for event in dict.fromkeys(events.events) if event not in known)
            together = tuple(sorted((*before.events, *new), key=time_order))
            both = dataclasses.replace(_known_together(before, events), events=together)
            self._replace(columns, rows, video, both)
        return len(new)

    def _replace(
        self, columns: list[str], rows: list[Row], video: str, events: VideoEvents
    ) -> None:
        kept = [row for row in rows if not _is_of(row, video)]
        old = [row for row in rows if _is_of(row, video)]
        self.sheet.write(columns, kept + _rows_of(video, events, old))


def _known_together(before: VideoEvents, new: VideoEvents) -> VideoEvents:
    """What was known of a recording, with what is added."""
    if before.is_whole or not before.is_listed:
        return before if before.is_whole else new
    watched = merged((*before.watched, *new.watched))
    decided = tuple(sorted({*before.decided, *new.decided}))
    return dataclasses.replace(before, watched=watched, decided=decided)


def _events_of(rows: Iterable[Row], video: str) -> VideoEvents:
    own = [row for row in rows if _is_of(row, video)]
    events = sorted((_event(row) for row in own if _is_event(row)), key=time_order)
    watched, decided = [], []
    for row in own:
        label = watched_class(plain(row["label"]))
        if label is not None:
            end = row["end_seconds"] or row["start_seconds"]
            span = _number(row["start_seconds"]), _number(end)
            decided += [(*span, label)] if label else []
            watched += [] if label else [span]
    return VideoEvents(tuple(events), bool(own), merged(watched), tuple(sorted(set(decided))))


def _is_event(row: Mapping[str, str]) -> bool:
    return bool(row["label"]) and watched_class(row["label"]) is None


def _check_row(row: Row) -> None:
    """Makes sure that the page can take what it is to write again."""
    if _is_event(row):
        MarkedEvent.checked(dataclasses.asdict(_event(row)))


def _event(row: Mapping[str, str]) -> MarkedEvent:
    end = row["end_seconds"]
    return MarkedEvent(
        _number(row["start_seconds"]),
        _number(end) if end and _number(end) > _number(row["start_seconds"]) else None,
        *(plain(row.get(name, "")) for name in ("label", "subject", "notes")),
    )


def _rows_of(video: str, events: VideoEvents, old: list[Row]) -> list[Row]:
    """The lines of a video; what else stood in the line of an event stays in it."""
    others = {_event(row): row for row in old if _is_event(row)}
    same = {name: row[name] for row in old for name in ("group", "split") if row.get(name)}
    name = old[0]["video"] if old else video
    rows: list[Row] = []
    for event in events.events:
        times = {"start_seconds": f"{event.start:.3f}"}
        times["end_seconds"] = "" if event.end is None else f"{event.end:.3f}"
        texts = {"label": event.label, "subject": event.subject, "notes": event.notes}
        rows.append({**others.get(event, {}), **same, "video": name, **times, **texts})
    watched = [(*span, WATCHED) for span in events.watched]
    decided = [(start, end, f"{WATCHED} {label}") for start, end, label in events.decided]
    for start, end, label in (*watched, *decided):
        times = {"start_seconds": f"{start:.3f}", "end_seconds": f"{end:.3f}"}
        rows.append({**same, "video": name, "label": label, **times})
    if not rows and events.is_listed:
        rows.append({**same, "video": name})
    return rows


def _is_of(row: Row, video: str) -> bool:
    return is_named(row["video"], video)


def _number(text: str) -> float:
    return round(float(text.replace(",", ".")), 3)
