"""Documents of ELAN, read and written."""

from __future__ import annotations

import datetime
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from pipeline.errors import DataError
from pipeline.sources.events.event import Draft, Event, Recording, WrittenRecording, time_of
from pipeline.text import counted, suggestion
from pipeline.video.paths import VIDEO_SUFFIXES

# From an annotation to what it refers to; the bound ends a circle.
_MOST_STEPS: Final = 100
_SCHEMA: Final = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"


class _Marked(NamedTuple):
    """An annotation; its times are milliseconds, None where the document has none."""

    place: str
    start: float | None
    end: float | None
    value: str


def read_elan(text: str, path: Path, *, tiers: Collection[str] = ()) -> list[Recording]:
    """Reads an `.eaf` document, a recording of the first video that it links.

    Annotations that divide another one without times of their own divide it evenly; those that
    refer to another one take its time.

    The name of a tier is the subject where some tier has different values, unless the tier names a
    participant; else it is the label. A tier of empty annotations, or of such that repeat its name,
    is a label. One that is called "LABEL (PARTICIPANT)", as Clipline writes it, is what its
    annotations say.

    Args:
        text: The document.
        path: Its file.
        tiers: The tiers to read; none: all.

    Raises:
        DataError: The document is not as expected, or has no such tier.
    """
    root = _parse(text, path)
    media, shift_seconds, others = _media(root, path)
    draft = Draft(media, path.name)
    draft.tell_others(path, others)
    chosen = _chosen(_annotations(root, path, draft), tiers, path, draft)
    values = {name: {each.value for each in marked} - {""} for name, marked in chosen.items()}
    several = any(len(each) > 1 for each in values.values())
    people = {tier.get("TIER_ID", ""): tier.get("PARTICIPANT", "") for tier in root.iter("TIER")}
    for name, marked in chosen.items():
        is_label = _is_label(name, values[name], people[name], several=several)
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


def _is_label(name: str, values: set[str], participant: str, *, several: bool) -> bool:
    """Whether the name of a tier is a label; `several`: some tier has different values."""
    if not values or values == {name}:
        return True
    return not several and {f"{value} ({participant})" for value in values} != {name}


def _chosen(
    by_tier: dict[str, list[_Marked]], tiers: Collection[str], path: Path, draft: Draft
) -> dict[str, list[_Marked]]:
    for name in tiers:
        if name not in by_tier:
            meant = f" {suggestion(name, by_tier, repr)}" if by_tier else ""
            raise DataError(f"{path}: expected a tier {name!r}, there is none.{meant}")
    chosen = {name: by_tier[name] for name in tiers or by_tier}
    for name, marked in by_tier.items():
        if name not in chosen:
            text = f"{path}: {name}, {counted(len(marked), 'annotation')}"
            draft.tell("tier left alone", text)
    return chosen


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
        # So much of the file lies before the start of the time line.
        shift = time_of(f"{path}, {name}", each.get("TIME_ORIGIN", 0), "TIME_ORIGIN") / 1000
        is_video = PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES
        found.append((is_video or each.get("MIME_TYPE", "").startswith("video"), name, shift))
    found.sort(key=lambda each: not each[0])
    (_, name, shift), *others = found or [(False, "", 0.0)]
    return name, shift, [name for _, name, _ in others]


def _annotations(root: ET.Element, path: Path, draft: Draft) -> dict[str, list[_Marked]]:
    """Returns the annotations of each tier."""
    slots: dict[str, float | None] = {}
    for slot in root.iter("TIME_SLOT"):
        name, value = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        place = f"{path}, time slot {name}"
        slots[name] = None if value is None else time_of(place, value, "milliseconds")
    ends: dict[str, tuple[str, str]] = {}
    parents: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    for tier in root.iter("TIER"):
        title = tier.get("TIER_ID", "")
        inside = values.setdefault(title, {})
        after = {}
        for each in (*tier.iter("ALIGNABLE_ANNOTATION"), *tier.iter("REF_ANNOTATION")):
            name = each.get("ANNOTATION_ID", "")
            inside[name] = (each.findtext("ANNOTATION_VALUE") or "").strip()
            if each.tag == "REF_ANNOTATION":
                parents[name] = each.get("ANNOTATION_REF", "")
            else:
                ends[name] = each.get("TIME_SLOT_REF1", ""), each.get("TIME_SLOT_REF2", "")
                after[ends[name][0]] = ends[name][1]
        if divided := _divide(slots, after):
            text = f"{path}, tier {title}: {counted(divided, 'time')} not given, divided evenly"
            draft.tell("times between others", text)
    found: dict[str, list[_Marked]] = {title: [] for title in values}
    for title, inside in values.items():
        for name, value in inside.items():
            first, last = _ends(name, parents, ends)
            place = f"{path}, annotation {name}"
            found[title].append(_Marked(place, slots.get(first), slots.get(last), value))
    return found


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


def _ends(
    name: str, parents: Mapping[str, str], ends: Mapping[str, tuple[str, str]]
) -> tuple[str, str]:
    """Returns the time slots of an annotation, or of what it refers to."""
    for _ in range(_MOST_STEPS):
        if name in ends:
            return ends[name]
        name = parents.get(name, "")
    return "", ""


def as_elan(recording: WrittenRecording) -> bytes:
    """A document of ELAN, with a tier for each class, and for each subject of it."""
    path = Path(recording.path).absolute()
    about = {"FORMAT": "3.0", "VERSION": "3.0", "AUTHOR": "Clipline"}
    about |= {"DATE": datetime.datetime.now().astimezone().isoformat("T", "seconds")}
    about |= {_SCHEMA: "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"}  # without which pympi fails
    root = ET.Element("ANNOTATION_DOCUMENT", about)
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    media = {"MEDIA_URL": path.as_uri(), "RELATIVE_MEDIA_URL": f"./{path.name}"}
    kind = "video/mp4" if path.suffix.lower() == ".mp4" else "video/*"
    ET.SubElement(header, "MEDIA_DESCRIPTOR", {**media, "MIME_TYPE": kind})
    order = ET.SubElement(root, "TIME_ORDER")
    by_tier: dict[tuple[str, str], list[Event]] = {}
    for event in recording.long():
        by_tier.setdefault((event.label, event.subject), []).append(event)
    number = 0
    for label, subject in sorted(by_tier):
        name = f"{label} ({subject})" if subject else label
        tier = ET.SubElement(root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF="default-lt")
        if subject:
            tier.attrib["PARTICIPANT"] = subject
        for event in by_tier[label, subject]:
            number += 1
            slots = f"ts{2 * number - 1}", f"ts{2 * number}"
            times = event.start_seconds, event.end_seconds
            for slot, time in zip(slots, times, strict=True):
                milliseconds = str(round(1000 * time))
                ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=milliseconds)
            annotation = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
            annotation.attrib |= {"ANNOTATION_ID": f"a{number}"}
            annotation.attrib |= {"TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = label
    ET.SubElement(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="default-lt", TIME_ALIGNABLE="true")
    ET.indent(root)
    return bytes(ET.tostring(root, "utf-8", xml_declaration=True))
