"""An event, and a recording: what one annotation file says of one media file; and its values."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from pipeline.errors import DataError
from pipeline.manifest.rows import Split
from pipeline.text import listed, one_line

Unit = Literal["seconds", "frames"]
Spans = tuple[tuple[float, float], ...]

# Beyond any recording: 30 years in seconds, half a year in frames.
_MOST: Final = 1e9


LOST: Final = {
    "POINT": "without a length left out: --point-seconds",
    "place unknown": "left out whose file is not known: read the .boris file instead",
    "START without STOP": "without a stop left out",
    "STOP without START": "without a start left out",
    "without a time": "without a time left out",
    "without a label": "without a label left out",
    "unknown behaviour": "of a behaviour in no ethogram left out",
    "before the start": "before the start of the video left out",
    "past the end": "past the end of the video left out",
    "two labels at once": "with two labels at once left out",
}
"""Kinds of notices of events that cannot be used; and what to say of a number of events."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Event:
    """A span of time that a person marked, and its label.

    Attributes:
        start_seconds: From the first frame of the media file on, 0 or more; a number of frames
            while the unit of its recording is frames.
        end_seconds: Where it ends, in the same unit; for a point, the same as `start_seconds`.
        label: Class name.
        subject: Who did it; empty: nobody in particular.
        notes: What else is said of it, where it is to be written.
        probability: How sure a run is of it; None: a person marked it.
    """

    start_seconds: float
    end_seconds: float
    label: str
    subject: str = ""
    notes: str = dataclasses.field(default="", compare=False)
    probability: float | None = dataclasses.field(default=None, compare=False)

    @property
    def is_point(self) -> bool:
        """Whether it has no length."""
        return self.end_seconds == self.start_seconds


def overlapping(events: Sequence[Event]) -> Iterator[tuple[int, int, float]]:
    """Yields the numbers of each two events that overlap, and for how long they do.

    Args:
        events: In order of their start.

    Example:
        >>> list(overlapping([Event(0, 3, "walk"), Event(1, 2, "eat"), Event(2, 4, "walk")]))
        [(0, 1, 1), (0, 2, 1)]
    """
    running: list[int] = []
    for number, event in enumerate(events):
        running = [other for other in running if events[other].end_seconds > event.start_seconds]
        for other in running:
            length = min(event.end_seconds, events[other].end_seconds) - event.start_seconds
            if length > 0:
                yield other, number, length
        running.append(number)


class Notice(NamedTuple):
    """Something found that a person should know of.

    Attributes:
        kind: A few words that are the same for all of its kind, such as "START without STOP".
        text: Where it is and what was done, one line.
    """

    kind: str
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """The events of one media file, as one annotation file has them.

    Attributes:
        media: The media file as written there; empty: none, the observation was live.
        name: The observation or document, for messages.
        events: In order of their start.
        unit: What the times of events, `duration_seconds`, `known` and `known_of` count.
        fps: Frames per second as the annotation says; None: it does not.
        duration_seconds: Length of the media file as the annotation says; None: it does not.
        group: What must not cross splits; empty: the media file.
        split: `train`, `val`, `test` or empty.
        known: Where the annotation holds, pairs of start and end; None: everywhere.
        known_of: Where it holds of the class and subject of an event alone, besides.
        subject: The only subject whose events these are; empty: all of them.
        path: The video file, absolute, once it was found.
        notices: What a person should know of.
    """

    media: str
    name: str
    events: tuple[Event, ...] = ()
    unit: Unit = "seconds"
    fps: float | None = None
    duration_seconds: float | None = None
    group: str = ""
    split: Split | Literal[""] = ""
    known: Spans | None = None
    known_of: tuple[Event, ...] = ()
    subject: str = ""
    path: str = ""
    notices: tuple[Notice, ...] = ()

    def telling(self, *notices: Notice, **changes: Any) -> Recording:
        """Returns the recording with changes and more notices."""
        return dataclasses.replace(self, notices=(*self.notices, *notices), **changes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenRecording:
    """A recording with its events, for a file of an annotation program.

    Attributes:
        path: The video file.
        fps: Its frames per second.
        duration_seconds: Its length.
        class_names: All classes that there are.
        events: In order of their start.
    """

    path: str
    fps: float
    duration_seconds: float
    class_names: tuple[str, ...]
    events: tuple[Event, ...]

    def long(self) -> list[Event]:
        """The events, of which points last for a frame."""
        return [
            dataclasses.replace(each, end_seconds=each.start_seconds + 1 / self.fps)
            if each.is_point
            else each
            for each in self.events
        ]


class Draft:
    """A recording while its file is read; each line of the file becomes an event or a notice.

    Args:
        media: See `Recording`.
        name: See `Recording`.
        fields: Other attributes of `Recording`, which may be changed until `done`.
    """

    def __init__(self, media: str, name: str, **fields: Any) -> None:
        self.fields: dict[str, Any] = {"media": media, "name": name, **fields}
        self._events: list[Event] = []
        self._notices: list[Notice] = []

    def add(
        self, place: str, start: float, end: float, label: str, subject: str = "", *, point: bool
    ) -> None:
        """Takes up an event; one that begins before the media file is cut, and told.

        Args:
            place: Where it stands, for messages.
            start: In the unit of the recording.
            end: Likewise.
            label: Class name; an event without one is told instead.
            subject: Who did it.
            point: Whether it is meant to have no length.

        Raises:
            DataError: It ends before it starts.
        """
        label = sys.intern(label.strip())  # which tens of thousands of events share
        if end < start:
            raise DataError(
                f"{place}: expected an event to end after its start, got {start:g} to {end:g}. "
                "Correct it where it was marked."
            )
        if not label:
            self.tell("without a label", f"{place}: {start:g} to {end:g} is left out")
        elif start < 0 and end <= 0:
            self.tell("before the start", f"{place}: {label} at {start:g} is left out")
        else:
            if start < 0:
                self.tell("cut at the start", f"{place}: {label} at {start:g} now starts at 0")
            elif end == start and not point:
                self.tell("without length", f"{place}: {label} at {start:g} is taken for a point")
            self._events.append(Event(max(0.0, start), end, label, subject.strip()))

    def tell(self, kind: str, text: str) -> None:
        """Takes up a notice."""
        self._notices.append(Notice(kind, text))

    def tell_others(self, place: object, media: Sequence[str]) -> None:
        """Tells of further media, if any, which show the same time."""
        if media:
            first = self.fields["media"] or "nothing"
            text = f"{place}: the events are taken for {first}, not {listed(media)}"
            self.tell("other cameras", text)

    def done(self) -> Recording:
        """Returns the recording."""
        events, notices = tuple(sorted(self._events)), tuple(self._notices)
        return Recording(**self.fields, events=events, notices=notices)


def time_of(
    place: str, value: object, what: str = "a time in seconds", *, least: float = -math.inf
) -> float:
    """A time as a file writes it, which may have a comma for the decimal point.

    Raises:
        DataError: It is no number, below `least`, or beyond any recording.
    """
    text = str(value).replace(",", ".")
    try:
        number = math.nan if "_" in text else float(text)  # Python takes 1_000
    except ValueError:
        number = math.nan
    if not abs(number) <= _MOST:
        raise DataError(f"{place}: expected {what}, such as 12.5, got {str(value)[:40]!r}.")
    if number < least:
        raise DataError(f"{place}: expected {what} of {least} or more, got {str(value)[:40]!r}.")
    return number


def read_json(text: str, place: object) -> Any:
    """Returns what JSON says.

    Raises:
        DataError: It is not JSON, or too deep.
    """
    try:
        data = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(data, ensure_ascii=False).encode()  # no half of a character
        return data
    except RecursionError:
        raise DataError(f"{place}: expected JSON of events, got lists in lists too deep.") from None
    except UnicodeEncodeError:
        raise DataError(f"{place}: expected JSON, got half of a character in it.") from None
    except ValueError as error:
        raise DataError(f"{place}: expected JSON: {one_line(error)}. Export it again.") from None


def part(value: Any, kind: type, place: str, what: str) -> Any:
    """Returns a part of JSON, which must be of a kind.

    Raises:
        DataError: It is not.
    """
    if not isinstance(value, kind):
        name = "an object" if kind is dict else "a list"
        raise DataError(f"{place}: expected {what}, {name}, got {str(value)[:40]!r}.")
    return value
