"""Events of recordings in the table that `prepare --source events` reads.

The table is the only place where they are. Each change reads it, writes it anew as a whole, and is
refused where the events of that video were changed meanwhile by somebody else. Columns and lines
that are not of that video stay as they are.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from pipeline.errors import DataError
from pipeline.manifest.annotation import Annotation, Spans, merged
from pipeline.sources.events.own_table import NEEDED, WATCHED, read_own_table
from pipeline.web.errors import ChangedError
from pipeline.web.label.sheet import Row, Sheet, is_named

NAME: Final = "events.csv"
"""Name of the table in the folder of its recordings."""

_COLUMNS: Final = (*NEEDED, "subject", "notes")
_MOST_EVENTS: Final = 100_000
_LONGEST_TEXT: Final = 1000
_LONGEST_SECONDS: Final = 1e8


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class MarkedEvent:
    """An event as a person marked it.

    Attributes:
        start: Seconds from the first frame of the recording on.
        end: Where it ends; None: it is a point in time.
        label: Class name.
        subject: Who did it; empty: nobody in particular.
        notes: What else is said of it.
    """

    start: float
    end: float | None
    label: str
    subject: str = ""
    notes: str = ""

    @classmethod
    def checked(cls, value: Any) -> Self:
        """An event of what came over the network.

        Raises:
            DataError: It is none.
        """
        if not isinstance(value, dict):
            raise DataError("expected an event, an object")
        start, end = _time(value.get("start")), value.get("end")
        if end is not None and _time(end) <= start:
            raise DataError(f"expected an event to end after its start, {start:g} s")
        texts = {name: _text(value.get(name, ""), name) for name in ("label", "subject", "notes")}
        if texts["label"] in ("", WATCHED):
            raise DataError(f"expected an event to have a label, other than {WATCHED}")
        return cls(start, end if end is None else _time(end), **texts)


@dataclasses.dataclass(frozen=True)
class VideoEvents:
    """What is known of a recording.

    Attributes:
        events: In order of their start.
        is_listed: Whether it stands in the table at all: without events, nothing happens in it.
        watched: From when to when somebody watched, in seconds; empty: as a whole, if it is listed.
    """

    events: tuple[MarkedEvent, ...] = ()
    is_listed: bool = False
    watched: Spans = ()

    @classmethod
    def checked(cls, value: Any) -> Self:
        """What came over the network, see `MarkedEvent.checked`."""
        events = value.get("events") if isinstance(value, dict) else None
        if not isinstance(events, list) or len(events) > _MOST_EVENTS:
            raise DataError(f"expected a list of at most {_MOST_EVENTS:,} events")
        found = tuple(sorted(map(MarkedEvent.checked, events), key=_order))
        watched = merged(map(_span, _list(value.get("watched", []))))
        is_listed = bool(found or watched) or value.get("is_listed") is True
        return cls(found, is_listed, watched)

    @property
    def annotation(self) -> Annotation | None:
        """What is known of the recording; None: nothing. A point lasts no time here."""
        if not self.is_listed:
            return None
        events = tuple(
            (each.start, each.start if each.end is None else each.end, each.label)
            for each in self.events
        )
        spans = (*self.watched, *(event[:2] for event in events))
        return Annotation(events=events, known=merged(spans) if self.watched else None)

    @property
    def version(self) -> str:
        """Changes with what it says."""
        return hashlib.sha256(json.dumps(self.as_json()).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return {
            "events": [dataclasses.asdict(each) for each in self.events],
            "is_listed": self.is_listed,
            "watched": [list(span) for span in self.watched],
        }


class EventsTable:
    """The table of a folder of recordings; it need not be there yet.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        check = functools.partial(read_own_table, path=path)
        self._sheet = Sheet(path, _COLUMNS, NEEDED, check)

    def read(self, videos: Iterable[str]) -> dict[str, VideoEvents]:
        """The events of some videos, by the names of their files.

        Raises:
            DataError: The table cannot be read.
        """
        _, rows = self._sheet.read()
        by_name: dict[str, list[Row]] = {}
        for row in rows:
            by_name.setdefault(row["video"], []).append(row)
        found = {}
        for video in videos:
            own = [name for name in by_name if is_named(name, video)]
            found[video] = _events_of([row for name in own for row in by_name[name]], video)
        return found

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
        with self._sheet.alone():
            columns, rows = self._sheet.read()
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
        with self._sheet.alone():
            columns, rows = self._sheet.read()
            before = _events_of(rows, video)
            # Whatever is noted of one that is there.
            known = {dataclasses.replace(event, notes="") for event in before.events}
            new = tuple(event for event in dict.fromkeys(events.events) if event not in known)
            together = tuple(sorted((*before.events, *new), key=_order))
            both = VideoEvents(together, True, before.watched)
            self._replace(columns, rows, video, both)
        return len(new)

    def _replace(
        self, columns: list[str], rows: list[Row], video: str, events: VideoEvents
    ) -> None:
        kept = [row for row in rows if not _is_of(row, video)]
        old = [row for row in rows if _is_of(row, video)]
        self._sheet.write(columns, kept + _rows_of(video, events, old))


def _events_of(rows: Iterable[Row], video: str) -> VideoEvents:
    own = [row for row in rows if _is_of(row, video)]
    events = (_event(row) for row in own if row["label"] not in ("", WATCHED))
    watched = merged(
        (_number(row["start_seconds"]), _number(row["end_seconds"] or row["start_seconds"]))
        for row in own
        if row["label"] == WATCHED
    )
    return VideoEvents(tuple(sorted(events, key=_order)), bool(own), watched)


def _event(row: Mapping[str, str]) -> MarkedEvent:
    end = row["end_seconds"]
    return MarkedEvent(
        _number(row["start_seconds"]),
        _number(end) if end and _number(end) > _number(row["start_seconds"]) else None,
        row["label"],
        row.get("subject", ""),
        row.get("notes", ""),
    )


def _rows_of(video: str, events: VideoEvents, old: list[Row]) -> list[Row]:
    """The lines of a video; what else stood in the line of an event stays in it."""
    others = {_event(row): row for row in old if row["label"] not in ("", WATCHED)}
    same = {name: row[name] for row in old for name in ("group", "split") if row.get(name)}
    name = old[0]["video"] if old else video
    rows: list[Row] = []
    for event in events.events:
        times = {"start_seconds": f"{event.start:.3f}"}
        times["end_seconds"] = "" if event.end is None else f"{event.end:.3f}"
        texts = {"label": event.label, "subject": event.subject, "notes": event.notes}
        rows.append({**others.get(event, {}), **same, "video": name, **times, **texts})
    for start, end in events.watched:
        times = {"start_seconds": f"{start:.3f}", "end_seconds": f"{end:.3f}"}
        rows.append({**same, "video": name, "label": WATCHED, **times})
    if not rows and events.is_listed:
        rows.append({**same, "video": name})
    return rows


def _is_of(row: Row, video: str) -> bool:
    return is_named(row["video"], video)


def _span(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2 or _time(value[1]) < _time(value[0]):
        raise DataError("expected a time that was watched, a start and an end after it")
    return _time(value[0]), _time(value[1])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_EVENTS:
        raise DataError(f"expected a list of at most {_MOST_EVENTS:,} times")
    return value


def _order(event: MarkedEvent) -> tuple[float, float, str, str]:
    end = event.start if event.end is None else event.end
    return event.start, end, event.label, event.subject


def _time(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LONGEST_SECONDS or not math.isfinite(value):
        raise DataError(f"expected a time in seconds, 0 or more, got {str(value)[:40]!r}")
    return round(float(value), 3)


def _number(text: str) -> float:
    return round(float(text.replace(",", ".")), 3)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise DataError(f"expected a {what} of at most {_LONGEST_TEXT} characters")
    text = " ".join(value.split())
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"expected a {what} in UTF-8") from None
    if not text.isprintable():
        raise DataError(f"expected a {what} of characters that can be seen")
    return text
