"""BORIS: observations, whose starts and stops become bouts, and the projects that hold them.

The time line of an observation becomes the times of its files.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path, PureWindowsPath
from typing import Any, Final, Literal, NamedTuple

from pipeline.errors import DataError
from pipeline.sources.events.event import Draft, Recording, part, time_of

NOBODY: Final = "No focal subject"
"""The subject of events of nobody in particular."""

Mark = Literal["START", "STOP", "POINT"]


class Medium(NamedTuple):
    """A media file of the observed player, one after the other on the time line."""

    name: str
    fps: float | None = None
    duration_seconds: float | None = None


class Behaviour(NamedTuple):
    """A behaviour and its subject; the two ends of a bout agree in all of it."""

    code: str
    subject: str
    modifiers: str

    def label(self, *, modifiers: bool) -> str:
        """The class name, with its modifiers or without."""
        return f"{self.code} {self.modifiers}".strip() if modifiers else self.code


def behaviour_of(code: str, subject: str, modifiers: list[str]) -> Behaviour:
    """Returns a behaviour from texts as BORIS writes them; it writes None where none was chosen."""
    kept = [modifier for modifier in modifiers if modifier not in ("", "None")]
    return Behaviour(code, "" if subject == NOBODY else subject, "|".join(kept))


@dataclasses.dataclass
class Observation:
    """One observation, read mark by mark, in their order.

    Attributes:
        name: The observation, for messages.
        media: The files of the first player; none where nothing was played.
        modifiers: Whether modifiers are part of the label.
        others: The files of other players, which show the same time.
        offset_seconds: What BORIS has added to all times.
        interval: Start and end of what was observed; None: all.
    """

    name: str
    media: list[Medium]
    modifiers: bool
    others: list[str] = dataclasses.field(default_factory=list)
    offset_seconds: float = 0.0
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        media = self.media or [Medium("")]
        self._drafts = [
            Draft(m.name, self.name, fps=m.fps, duration_seconds=m.duration_seconds) for m in media
        ]
        starts = [0.0]
        for medium in media[:-1]:
            if not medium.duration_seconds:
                break  # What follows cannot be placed.
            starts.append(starts[-1] + medium.duration_seconds)
        lows, highs = [-math.inf, *starts[1:]], [*starts[1:], math.inf]
        self._spans = list(zip(self._drafts, starts, lows, highs, strict=False))
        self._not_placed = {PureWindowsPath(m.name).name for m in media[len(starts) :]}
        self._open: dict[Behaviour, tuple[float, str, str]] = {}
        if not self.media:
            self.tell("without media", f"{self.name}: a live observation, or one of pictures")
        self._drafts[0].tell_others(self.name, self.others)

    def tell(self, kind: str, text: str) -> None:
        """Takes up a notice."""
        self._drafts[0].tell(kind, text)

    def next_mark(self, what: Behaviour) -> Mark:
        """Whether the next mark of a state is its start or its stop."""
        return "STOP" if what in self._open else "START"

    def mark(
        self, place: str, time: float | None, mark: Mark, what: Behaviour, media: str = ""
    ) -> None:
        """Takes up a start, a stop or a point.

        Args:
            place: Where it stands.
            time: On the time line; None: it has none.
            mark: What it is.
            what: What it is of.
            media: The file that it falls into, if the table says so.

        Raises:
            DataError: A bout ends before it starts.
        """
        if time is None:
            self.tell("without a time", f"{place}: {mark} of {what.code} is left out")
        elif mark == "POINT":
            self._add(place, time, time, what, media, point=True)
        elif mark == "START":
            self._tell_open(what)
            self._open[what] = time, place, media
        elif what in self._open:
            start, _, first_media = self._open.pop(what)
            self._add(place, start, time, what, first_media, point=False)
        else:
            self.tell("STOP without START", f"{place}: {what.code} at {time:g} is left out")

    def _tell_open(self, what: Behaviour) -> None:
        if what in self._open:
            time, place, _ = self._open.pop(what)
            self.tell("START without STOP", f"{place}: {what.code} at {time:g} is left out")

    def _add(
        self, place: str, start: float, end: float, what: Behaviour, media: str, *, point: bool
    ) -> None:
        """Takes up an event, cut where a file ends and the next begins."""
        label = what.label(modifiers=self.modifiers)
        start, end = start - self.offset_seconds, end - self.offset_seconds
        if PureWindowsPath(media).name in self._not_placed:
            self.tell(
                "place unknown",
                f"{place}: {label} at {start:g} is left out: it falls into a later file, and the "
                "table does not say how long those before it are. Read the .boris file instead",
            )
            return
        pieces = [
            (draft, max(start, low) - first, min(end, high) - first)
            for draft, first, low, high in self._spans
            if low <= start < high or start < low < end
        ]
        for number, (draft, begin, stop) in enumerate(pieces):
            draft.add(place, begin, stop, label, what.subject, point=point)
            if number:
                draft.tell("over two files", f"{place}: {label} goes on from the file before")

    def recordings(self) -> list[Recording]:
        """Returns a recording of each file."""
        for what in list(self._open):
            self._tell_open(what)
        for draft, first, low, high in self._spans if self.interval else ():
            start, end = (time - self.offset_seconds for time in self.interval or ())
            span = max(start, low, 0.0) - first, min(end, high) - first
            draft.fields["known"] = (span,) if span[0] < span[1] else ()
        for draft in self._drafts[len(self._spans) :]:
            draft.fields["known"] = ()
        return [draft.done() for draft in self._drafts]


def read_boris_project(data: Any, path: Path, *, modifiers: bool = False) -> list[Recording]:
    """Reads a project; the first mark of a state event is its start, the next one its stop.

    Args:
        data: The JSON of the project.
        path: Its file.
        modifiers: See `read_boris_table`.

    Raises:
        DataError: It is not as expected.
    """
    ethogram = part(data.get("behaviors_conf"), dict, f"{path}", "behaviors_conf")
    states = {}
    for number, behaviour in ethogram.items():
        entry = part(behaviour, dict, f"{path}, behaviors_conf {number}", "a behaviour")
        states[str(entry.get("code"))] = str(entry.get("type", "")).startswith("State")
    observations = part(data.get("observations"), dict, f"{path}", "observations")
    return [
        recording
        for name, observation in observations.items()
        for recording in _recordings(path, name, observation, states, modifiers)
    ]


def _recordings(
    path: Path, name: str, data: Any, states: dict[str, bool], modifiers: bool
) -> list[Recording]:
    place = f"{path}, observation {name}"
    data = part(data, dict, place, "an observation")
    files = part(data.get("file") or {}, dict, place, "file")
    players = {player: part(files[player], list, place, "files") for player in sorted(files)}
    info = part(data.get("media_info") or {}, dict, place, "media_info")
    rates, lengths = (part(info.get(key) or {}, dict, place, key) for key in ("fps", "length"))
    media = [
        Medium(str(file), *(_optional(place, values.get(str(file))) for values in (rates, lengths)))
        for file in players.pop("1", [])
    ]
    interval = part(data.get("observation time interval") or [0, 0], list, place, "an interval")
    start, stop = [time_of(place, time) for time in interval][:2] if len(interval) > 1 else (0, 0)
    observation = Observation(
        name=name,
        media=media,
        modifiers=modifiers,
        others=[str(file) for files in players.values() for file in files],
        offset_seconds=time_of(place, data.get("time offset") or 0),
        interval=(start, stop) if stop > start else None,
    )
    for number, event in enumerate(part(data.get("events"), list, place, "events"), 1):
        _add(observation, f"{place}, event {number}", event, states)
    return observation.recordings()


def _optional(place: str, value: Any) -> float | None:
    number = 0.0 if value in (None, "", "NA") else time_of(place, value, "a number")
    return number if number > 0 else None


def _add(observation: Observation, place: str, event: Any, states: dict[str, bool]) -> None:
    cells = part(event, list, place, "an event")
    if len(cells) < 4:
        raise DataError(
            f"{place}: expected time, subject, behaviour and modifier, got {cells!s:.80}."
        )
    time, subject, code, modifier = cells[:4]
    what = behaviour_of(str(code), str(subject or ""), str(modifier or "").split("|"))
    if what.code not in states:
        observation.tell("unknown behaviour", f"{place}: {code} is in no ethogram and left out")
    else:
        mark: Mark = observation.next_mark(what) if states[what.code] else "POINT"
        has_time = time not in (None, "NA") and time == time  # NaN where pictures have none
        observation.mark(place, time_of(place, time) if has_time else None, mark, what)
