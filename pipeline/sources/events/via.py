"""Projects and tables of the VGG Image Annotator, version 3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import DataError
from pipeline.sources.events.event import Draft, Recording, part, read_json, time_of
from pipeline.tables import Table, lines_of


class _Attribute(NamedTuple):
    """A column that people fill in, and the texts of its options by their ids."""

    name: str
    options: Mapping[str, Any]

    def texts(self, value: Any) -> list[str]:
        """Labels that were chosen or written; several where several could be chosen."""
        text = str(value).strip()
        ids = [each.strip() for each in text.split(",")]
        if all(each in self.options for each in ids):
            return [str(self.options[each]) for each in ids]
        return [text] if text else []


def read_via_project(data: Any, path: Path) -> list[Recording]:
    """Reads a project: segments of time are events, single times are points.

    Each attribute of a segment gives a label, one called subject gives the subject. Regions drawn
    into a frame are told.

    Raises:
        DataError: It is not as expected.
    """
    files, views, metadata = (
        part(data.get(key), dict, f"{path}", key) for key in ("file", "view", "metadata")
    )
    attributes = _attributes(data.get("attribute"), path)
    drafts: dict[str, Draft] = {}
    media: dict[str, list[str]] = {}
    for vid, view in views.items():
        place = f"{path}, view {vid}"
        ids = part(part(view, dict, place, "a view").get("fid_list"), list, place, "fid_list")
        found = [part(files.get(str(fid)), dict, place, f"file {fid}") for fid in ids]
        media[vid] = [str(file.get("fname") or file.get("src") or "") for file in found]
        _draft(drafts, media[vid], path)  # also where nothing is marked
    for name, entry in metadata.items():
        place = f"{path}, metadata {name}"
        entry = part(entry, dict, place, "metadata")
        draft = _draft(drafts, media.get(str(entry.get("vid")), []), path)
        times = part(entry.get("z"), list, place, "z")
        _add(draft, place, times, entry.get("xy"), entry.get("av"), attributes)
    return [draft.done() for draft in drafts.values()]


def read_via_table(text: str, path: Path) -> list[Recording]:
    """Reads a table of all metadata or of temporal segments, see `read_via_project`.

    Raises:
        DataError: It is not as expected.
    """
    attributes: dict[str, _Attribute] = {}
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        title, _, value = line.partition(" = ")
        if title in ("# ATTRIBUTE", "# ATTRIBUTES"):
            attributes = _attributes(read_json(value, f"{path}, line {number}"), path)
        is_header = title == "# CSV_HEADER"
        lines.append((value if is_header else "" if line.startswith("#") else line) + "\n")
    drafts: dict[str, Draft] = {}
    table = Table(lines_of(lines, path, delimiter=","), path, "file_list", "metadata")
    for row, cells in table:
        place = row.place
        files = part(read_json(cells["file_list"], place), list, place, "file_list")
        draft = _draft(drafts, [str(file) for file in files], path)
        ends = [cells.get(f"temporal_segment_{end}", "") for end in ("start", "end")]
        times = [time for time in ends if time not in ("", "undefined")]
        if "temporal_coordinates" in cells:
            times = part(read_json(cells["temporal_coordinates"], place), list, place, "times")
        region = read_json(cells.get("spatial_coordinates") or "[]", place)
        _add(draft, place, times, region, read_json(cells["metadata"], place), attributes)
    return [draft.done() for draft in drafts.values()]


def _attributes(data: Any, path: Path) -> dict[str, _Attribute]:
    """Returns attributes by id; of an older export the names alone are known."""
    attributes = {}
    for aid, entry in part(data or {}, dict, f"{path}", "attribute").items():
        known = entry if isinstance(entry, dict) else {"aname": entry}
        options = known.get("options")
        attributes[aid] = _Attribute(
            str(known.get("aname", aid)), options if isinstance(options, dict) else {}
        )
    return attributes


def _draft(drafts: dict[str, Draft], media: list[str], path: Path) -> Draft:
    first = media[0] if media else ""
    if first not in drafts:
        drafts[first] = Draft(first, path.name)
        drafts[first].tell_others(path, media[1:])
    return drafts[first]


def _add(
    draft: Draft,
    place: str,
    times: list[Any],
    region: Any,
    chosen: Any,
    attributes: Mapping[str, _Attribute],
) -> None:
    chosen = part(chosen, dict, place, "its attributes")
    if region:
        draft.tell("region", f"{place}: a region drawn into a frame is no event")
        return
    if not times:
        draft.tell("of the whole file", f"{place}: what is said of the whole file is left out")
        return
    if len(times) > 2:
        raise DataError(f"{place}: expected one time or two, got {len(times)}.")
    start, end = time_of(place, times[0]), time_of(place, times[-1])
    labels, subject = [], ""
    for aid, value in chosen.items():
        attribute = attributes.get(aid, _Attribute(aid, {}))
        if attribute.name.lower() == "subject":
            subject = ", ".join(attribute.texts(value))
        else:
            labels += attribute.texts(value)
    for label in labels or [""]:
        draft.add(place, start, end, label, subject, point=len(times) == 1)
