"""Documents of ELAN."""

from __future__ import annotations

import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from pipeline.errors import DataError
from pipeline.sources.events.event import Draft, Recording, time_of
from pipeline.text import counted, listed, nearest
from pipeline.video.paths import VIDEO_SUFFIXES

TierAs = Literal["auto", "label", "subject"]


class _Marked(NamedTuple):
    """An annotation; its times are milliseconds, None where the document has none."""

    place: str
    start: float | None
    end: float | None
    value: str


def read_elan(
    text: str, path: Path, *, tiers: Collection[str] = (), tier_as: TierAs = "auto"
) -> list[Recording]:
    """Reads an `.eaf` document, a recording of the first video that it links.

    Annotations that divide another one without times of their own divide it evenly; those that
    refer to another one take its time.

    Args:
        text: The document.
        path: Its file.
        tiers: The tiers to read; none: all.
        tier_as: What the name of a tier is. "label": the label, whatever its annotations say.
            "subject": who does what its annotations say, unless the tier names a participant.
            "auto": the subject where some tier has different values, else the label; a tier of
            empty annotations is a label.

    Raises:
        DataError: The document is not as expected, or has no such tier.
    """
    root = _parse(text, path)
    media, shift_seconds, others = _media(root, path)
    draft = Draft(media, path.name)
    if others:
        draft.tell(
            "other cameras", f"{path}: the events are taken for {media}, not {listed(others)}"
        )
    by_tier = _annotations(root, path, draft)
    for name in tiers:
        if name not in by_tier:
            meant = f" Did you mean {nearest(name, by_tier)!r}?" if by_tier else ""
            raise DataError(f"{path}: expected a tier {name!r}, there is none.{meant}")
    chosen = {name: by_tier[name] for name in tiers or by_tier}
    for name in by_tier.keys() - chosen.keys():
        draft.tell(
            "tier left alone", f"{path}: {name}, {counted(len(by_tier[name]), 'annotation')}"
        )
    values = {name: {each.value for each in marked} - {""} for name, marked in chosen.items()}
    several = any(len(each) > 1 for each in values.values())
    people = {tier.get("TIER_ID", ""): tier.get("PARTICIPANT", "") for tier in root.iter("TIER")}
    for name, marked in chosen.items():
        is_label = tier_as == "label" or (tier_as == "auto" and not (several and values[name]))
        if marked:
            draft.tell(
                "tier", f"{path}: {name} is taken for a {'label' if is_label else 'subject'}"
            )
        for place, start, end, value in marked:
            if start is None or end is None:
                draft.tell("without a time", f"{place}: {value or name} is left out")
                continue
            first, last = (milliseconds / 1000 + shift_seconds for milliseconds in (start, end))
            label, subject = (name, "") if is_label else (value, name)
            draft.add(place, first, last, label, people[name] or subject, point=False)
    return [draft.done()]


def _parse(text: str, path: Path) -> ET.Element:
    # Entities can only be declared there, and nested ones grow without bounds.
    if "<!DOCTYPE" in text:
        raise DataError(f"{path}: expected a document as ELAN writes it, got one with a DOCTYPE.")
    try:
        root = ET.fromstring(text)  # noqa: S314
    except ET.ParseError as error:
        raise DataError(f"{path}: expected XML: {error}. Save it again in ELAN.") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise DataError(f"{path}: expected a document of ELAN, got {root.tag[:40]!r}.")
    for header in root.iter("HEADER"):
        unit = header.get("TIME_UNITS", "milliseconds")
        if unit != "milliseconds":
            raise DataError(f"{path}: expected times in milliseconds, got {unit!r}.")
    return root


def _media(root: ET.Element, path: Path) -> tuple[str, float, list[str]]:
    """Returns the name of the first video, what its times are later by, and the other media."""
    found = []
    for each in root.iter("MEDIA_DESCRIPTOR"):
        url = each.get("RELATIVE_MEDIA_URL") or each.get("MEDIA_URL") or ""
        name = urllib.parse.unquote(url.removeprefix("file://"))
        place = f"{path}, {name}"
        # So much of the file lies before the start of the time line.
        shift = time_of(place, each.get("TIME_ORIGIN", 0), what="TIME_ORIGIN") / 1000
        suffix = PurePosixPath(name).suffix.lower()
        is_video = suffix in VIDEO_SUFFIXES or each.get("MIME_TYPE", "").startswith("video")
        found.append((not is_video, name, shift))
    found.sort(key=lambda each: each[0])
    if not found:
        return next((header.get("MEDIA_FILE", "") for header in root.iter("HEADER")), ""), 0.0, []
    return found[0][1], found[0][2], [name for _, name, _ in found[1:]]


def _annotations(root: ET.Element, path: Path, draft: Draft) -> dict[str, list[_Marked]]:
    slots = {
        slot.get("TIME_SLOT_ID", ""): _milliseconds(slot, path) for slot in root.iter("TIME_SLOT")
    }
    aligned = {
        each.get("ANNOTATION_ID", ""): (
            each.get("TIME_SLOT_REF1", ""),
            each.get("TIME_SLOT_REF2", ""),
        )
        for each in root.iter("ALIGNABLE_ANNOTATION")
    }
    parents = {
        each.get("ANNOTATION_ID", ""): each.get("ANNOTATION_REF", "")
        for each in root.iter("REF_ANNOTATION")
    }
    for tier in root.iter("TIER"):
        inside = [each.get("ANNOTATION_ID", "") for each in tier.iter("ALIGNABLE_ANNOTATION")]
        divided = _divide(slots, dict(aligned[each] for each in inside))
        if divided:
            draft.tell(
                "times between others",
                f"{path}, tier {tier.get('TIER_ID')}: {counted(divided, 'time')} not given and "
                "divided evenly",
            )
    return {
        tier.get("TIER_ID", ""): [
            _marked(f"{path}, annotation {name}", each, slots, _end_of(name, parents, aligned))
            for kind in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
            for each in tier.iter(kind)
            for name in [each.get("ANNOTATION_ID", "")]
        ]
        for tier in root.iter("TIER")
    }


def _marked(
    place: str,
    annotation: ET.Element,
    slots: Mapping[str, float | None],
    ends: tuple[str, str],
) -> _Marked:
    value = (annotation.findtext("ANNOTATION_VALUE") or "").strip()
    return _Marked(place, slots.get(ends[0]), slots.get(ends[1]), value)


def _milliseconds(slot: ET.Element, path: Path) -> float | None:
    value = slot.get("TIME_VALUE")
    place = f"{path}, time slot {slot.get('TIME_SLOT_ID')}"
    return None if value is None else time_of(place, value, what="milliseconds")


def _divide(slots: dict[str, float | None], after: Mapping[str, str]) -> int:
    """Fills in the times between the ends of each chain of annotations; returns how many."""
    filled = 0
    for first in after:
        start, chain = slots.get(first), [first]
        while start is not None and chain[-1] in after and len(chain) <= len(after):
            chain.append(after[chain[-1]])
            end = slots.get(chain[-1])
            if end is not None:
                for number, slot in enumerate(chain[1:-1], 1):
                    slots[slot] = start + (end - start) * number / (len(chain) - 1)
                    filled += 1
                break
    return filled


def _end_of(
    name: str, parents: Mapping[str, str], aligned: Mapping[str, tuple[str, str]]
) -> tuple[str, str]:
    """Returns the time slots of an annotation, or of what it refers to."""
    for _ in range(len(parents) + 1):
        if name in aligned:
            return aligned[name]
        name = parents.get(name, "")
    return "", ""
