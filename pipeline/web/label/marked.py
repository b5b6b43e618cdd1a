"""What a person marked in a recording, checked as it comes over the network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any, Final, Self

from pipeline.errors import DataError
from pipeline.manifest.annotation import Annotation, Spans, merged
from pipeline.sources.events.text_tables import WATCHED, watched_class

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
        if not texts["label"] or watched_class(texts["label"]) is not None:
            raise DataError(
                f"expected an event to have a label, which does not begin with {WATCHED}"
            )
        return cls(start, end if end is None else _time(end), **texts)


@dataclasses.dataclass(frozen=True)
class VideoEvents:
    """What is known of a recording.

    Attributes:
        events: In order of their start.
        is_listed: Whether it stands in the table at all: without events, nothing happens in it.
        watched: From when to when somebody watched, in seconds; see `IN_PART`. If it is listed, and
            neither this nor `decided` says anything: as a whole.
        decided: Likewise, but for one class alone, whose name is the third of each.
    """

    events: tuple[MarkedEvent, ...] = ()
    is_listed: bool = False
    watched: Spans = ()
    decided: tuple[tuple[float, float, str], ...] = ()

    @classmethod
    def checked(cls, value: Any) -> Self:
        """What came over the network, see `MarkedEvent.checked`."""
        events = value.get("events") if isinstance(value, dict) else None
        if not isinstance(events, list) or len(events) > _MOST_EVENTS:
            raise DataError(f"expected a list of at most {_MOST_EVENTS:,} events")
        found = tuple(sorted(map(MarkedEvent.checked, events), key=time_order))
        watched = merged(map(_span, _list(value.get("watched", []))))
        decided = tuple(sorted(set(map(_decision, _list(value.get("decided", []))))))
        is_listed = bool(found or watched or decided) or value.get("is_listed") is True
        return cls(found, is_listed, watched, decided)

    @property
    def is_whole(self) -> bool:
        """Whether all that is not marked is known not to happen."""
        return self.is_listed and not (self.watched or self.decided)

    @property
    def annotation(self) -> Annotation | None:
        """What is known of the recording; None: nothing. A point lasts no time here."""
        if not self.is_listed:
            return None
        events = tuple(
            (each.start, each.start if each.end is None else each.end, each.label)
            for each in self.events
        )
        if self.is_whole:
            return Annotation(events=events)
        return Annotation(events=events, known=self.watched, known_of=(*self.decided, *events))

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
            "decided": [list(span) for span in self.decided],
        }


def time_order(event: MarkedEvent) -> tuple[float, float, str, str]:
    """What events are sorted by: start, end, class, subject."""
    end = event.start if event.end is None else event.end
    return event.start, end, event.label, event.subject


def _span(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2 or _time(value[1]) < _time(value[0]):
        raise DataError("expected a time that was watched, a start and an end after it")
    return _time(value[0]), _time(value[1])


def _decision(value: Any) -> tuple[float, float, str]:
    if not isinstance(value, list) or len(value) != 3:
        raise DataError("expected what was decided, a start, an end and a class")
    label = MarkedEvent.checked({"start": 0, "end": None, "label": value[2]}).label
    return (*_span(value[:2]), label)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_EVENTS:
        raise DataError(f"expected a list of at most {_MOST_EVENTS:,} times")
    return value


def _time(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LONGEST_SECONDS or not math.isfinite(value):
        raise DataError(f"expected a time in seconds, 0 or more, got {str(value)[:40]!r}")
    return round(float(value), 3)


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
