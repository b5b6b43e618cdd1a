"""An observation of BORIS: starts and stops become bouts, its time line the times of its files."""

from __future__ import annotations

import dataclasses
import math
from pathlib import PureWindowsPath
from typing import Literal, NamedTuple

from pipeline.sources.events.event import Draft, Recording, Spans

Mark = Literal["START", "STOP", "POINT"]


class Medium(NamedTuple):
    """A media file of the observed player, one after the other on the time line."""

    name: str
    fps: float | None = None
    duration_seconds: float | None = None


class Behaviour(NamedTuple):
    """What was marked, by whom; the two ends of a bout agree in all of it."""

    code: str
    subject: str
    modifiers: str

    def label(self, *, modifiers: bool) -> str:
        """The class name, with its modifiers or without."""
        return f"{self.code} {self.modifiers}" if modifiers and self.modifiers else self.code


def behaviour_of(code: str, subject: str, modifiers: list[str]) -> Behaviour:
    """Returns a behaviour from texts as BORIS writes them; it writes None where none was chosen."""
    kept = [modifier for modifier in modifiers if modifier not in ("", "None")]
    return Behaviour(code, "" if subject == "No focal subject" else subject, "|".join(kept))


@dataclasses.dataclass
class Observation:
    """What is read of one observation, line by line.

    Attributes:
        name: The observation, for messages.
        media: The files of the observed player; none where nothing was played.
        modifiers: Whether modifiers are part of the label.
        offset_seconds: What BORIS has added to all times.
        interval: Start and end of what was observed; None: all.
    """

    name: str
    media: list[Medium]
    modifiers: bool
    offset_seconds: float = 0.0
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        media = self.media or [Medium("")]
        self._drafts = [
            Draft(m.name, self.name, fps=m.fps, duration_seconds=m.duration_seconds) for m in media
        ]
        # Each file's first moment on the time line, and from when to when events fall into it;
        # what follows a file of unknown length cannot be placed.
        self._spans: list[tuple[Draft, float, float, float]] = []
        first = 0.0
        for draft, medium in zip(self._drafts, media, strict=True):
            last = first + (medium.duration_seconds or math.inf)
            is_last = draft is self._drafts[-1]
            low, high = -math.inf if first == 0 else first, math.inf if is_last else last
            self._spans.append((draft, first, low, high))
            first = last
            if last == math.inf:
                break
        self._open: dict[Behaviour, tuple[float, str, str]] = {}
        if not self.media:
            self.tell("without media", f"{self.name}: a live observation, or one of pictures")

    def tell(self, kind: str, text: str) -> None:
        """Takes up a notice."""
        self._drafts[0].tell(kind, text)

    def mark(self, place: str, time: float, mark: Mark, what: Behaviour, media: str = "") -> None:
        """Takes up a start, a stop or a point; marks come in order.

        Args:
            place: Where it stands.
            time: On the time line.
            mark: What it is.
            what: What it is of.
            media: The file that it falls into, if the table says so.
        """
        if mark == "POINT":
            self.bout(place, time, time, what, media, point=True)
        elif mark == "START":
            self._tell_open(what)
            self._open[what] = time, place, media
        elif what in self._open:
            start, first_place, first_media = self._open.pop(what)
            self.bout(f"{first_place} to {place}", start, time, what, first_media)
        else:
            self.tell("STOP without START", f"{place}: {what.code} at {time:g} is left out")

    def next_mark(self, what: Behaviour) -> Mark:
        """Whether the next mark of a state is its start or its stop."""
        return "STOP" if what in self._open else "START"

    def _tell_open(self, what: Behaviour) -> None:
        if what in self._open:
            time, place, _ = self._open.pop(what)
            self.tell("START without STOP", f"{place}: {what.code} at {time:g} is left out")

    def bout(
        self,
        place: str,
        start: float,
        end: float,
        what: Behaviour,
        media: str = "",
        *,
        point: bool = False,
    ) -> None:
        """Takes up a bout, cut where a file ends and the next begins.

        Raises:
            DataError: It ends before it starts.
        """
        label = what.label(modifiers=self.modifiers)
        start, end = start - self.offset_seconds, end - self.offset_seconds
        if len(self._spans) < len(self.media) and _same(media, self.media[0].name) is False:
            self.tell(
                "place unknown",
                f"{place}: {label} at {start:g} is left out: it falls into a later file, and the "
                "table does not say how long those before it are. Read the .boris file instead",
            )
            return
        pieces = [
            (draft, max(start, low), min(end, high), first)
            for draft, first, low, high in self._spans
            if low <= start < high or start < low < end
        ]
        for number, (draft, begin, stop, first) in enumerate(pieces):
            draft.add(place, begin - first, stop - first, label, what.subject, point=point)
            if number:
                draft.tell("over two files", f"{place}: {label} goes on from the file before")

    def recordings(self) -> list[Recording]:
        """Returns a recording of each file."""
        for what in list(self._open):
            self._tell_open(what)
        for draft, first, low, high in self._spans if self.interval else ():
            start, end = (time - self.offset_seconds for time in self.interval or ())
            span = max(start, low, 0.0) - first, min(end, high) - first
            known: Spans = (span,) if span[0] < span[1] else ()
            draft.fields["known"] = known
        for draft in self._drafts[len(self._spans) :]:
            draft.fields["known"] = ()
        return [draft.done() for draft in self._drafts]


def _same(media: str, name: str) -> bool | None:
    """Whether two paths have one file name; None where there is none."""
    if not media:
        return None
    return PureWindowsPath(media).name == PureWindowsPath(name).name
