"""Annotations as ActivityNet and THUMOS have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.sources.events.event import Draft, Recording, part, time_of
from pipeline.sources.official import split_of


def read_activitynet(data: Any, path: Path) -> list[Recording]:
    """Reads the videos of a `database`, whose `subset` is their split.

    Raises:
        DataError: It is not as expected.
    """
    recordings = []
    for name, entry in part(data.get("database"), dict, f"{path}", "database").items():
        place = f"{path}, {name}"
        entry = part(entry, dict, place, "a video")
        draft = Draft(name, path.name, split=split_of(str(entry.get("subset", ""))) or "")
        for field, key in (("fps", "fps"), ("duration_seconds", "duration")):
            if entry.get(key) is not None:
                draft.fields[field] = time_of(place, entry[key], key, least=0)
        found = part(entry.get("annotations") or [], list, place, "annotations")
        if not found and draft.fields["split"] == "test":
            draft.tell("not annotated", f"{place}: nothing is known of it")
            draft.fields["known"] = ()
        for number, each in enumerate(found, 1):
            place = f"{path}, {name}, annotation {number}"
            segment = part(part(each, dict, place, "it").get("segment"), list, place, "segment")
            start, end = (time_of(place, time, least=0) for time in [*segment, None, None][:2])
            draft.add(place, start, end, str(each.get("label") or ""), point=False)
        recordings.append(draft.done())
    return recordings
