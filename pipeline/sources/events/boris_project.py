"""Projects of BORIS, which hold the ethogram and all observations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.sources.events.boris_observation import Mark, Medium, Observation, behaviour_of
from pipeline.sources.events.event import Recording, part, time_of


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
        for recording in _read(f"{path}, observation {name}", name, observation, states, modifiers)
    ]


def _read(
    place: str, name: str, data: Any, states: dict[str, bool], modifiers: bool
) -> list[Recording]:
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
