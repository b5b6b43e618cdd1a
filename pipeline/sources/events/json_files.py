"""Events in JSON: VIA 3, read and written, and its tables; Label Studio, likewise; ActivityNet."""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from pipeline.errors import DataError
from pipeline.sources.events.event import (
    Draft,
    Event,
    Recording,
    WrittenRecording,
    part,
    read_json,
    time_of,
)
from pipeline.sources.official import split_of
from pipeline.tables import Table, lines_of
from pipeline.text import counted
from pipeline.video.paths import VIDEO_SUFFIXES

# What uploading puts before a name.
_UPLOADED: Final = re.compile(r"^.*/upload/(?:[^/]*/)*[0-9a-f]{8}-")


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
        _via_draft(drafts, media[vid], path)  # also where nothing is marked
    for name, entry in metadata.items():
        place = f"{path}, metadata {name}"
        entry = part(entry, dict, place, "metadata")
        draft = _via_draft(drafts, media.get(str(entry.get("vid")), []), path)
        times = part(entry.get("z"), list, place, "z")
        _add_segment(draft, place, times, entry.get("xy"), entry.get("av"), attributes)
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
        draft = _via_draft(drafts, [str(file) for file in files], path)
        ends = [cells.get(f"temporal_segment_{end}", "") for end in ("start", "end")]
        times = [time for time in ends if time not in ("", "undefined")]
        if "temporal_coordinates" in cells:
            times = part(read_json(cells["temporal_coordinates"], place), list, place, "times")
        region = read_json(cells.get("spatial_coordinates") or "[]", place)
        _add_segment(draft, place, times, region, read_json(cells["metadata"], place), attributes)
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


def _via_draft(drafts: dict[str, Draft], media: list[str], path: Path) -> Draft:
    first = media[0] if media else ""
    if first not in drafts:
        drafts[first] = Draft(first, path.name)
        drafts[first].tell_others(path, media[1:])
    return drafts[first]


def _add_segment(
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


def as_via(recording: WrittenRecording) -> bytes:
    """A project of VIA 3, with the classes as options of one attribute."""
    name = Path(recording.path).name
    options = {str(number): label for number, label in enumerate(recording.class_names)}
    numbers = {label: number for number, label in options.items()}
    common = {"anchor_id": "FILE1_Z2_XY0", "desc": "", "default_option_id": ""}
    attributes: dict[str, Any] = {"1": {**common, "aname": "action", "type": 4, "options": options}}
    if any(event.subject for event in recording.events):
        attributes["2"] = {**common, "aname": "subject", "type": 1, "options": {}}
    return _json(
        {
            "project": {
                "pid": "__VIA_PROJECT_ID__",
                "rev": "__VIA_PROJECT_REV_ID__",
                "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
                "pname": name,
                "creator": "Clipline",
                "created": round(1000 * datetime.datetime.now().astimezone().timestamp()),
                "vid_list": ["1"],
            },
            "config": {"file": {"loc_prefix": dict.fromkeys("1234", "")}, "ui": {}},
            "attribute": attributes,
            "file": {"1": {"fid": "1", "fname": name, "type": 4, "loc": 1, "src": name}},
            "metadata": {
                f"1_{number}": {
                    "vid": "1",
                    "flg": 0,
                    "z": [round(event.start_seconds, 3), round(event.end_seconds, 3)][
                        : 1 if event.is_point else 2
                    ],
                    "xy": [],
                    "av": {"1": numbers[event.label]}
                    | ({"2": event.subject} if event.subject else {}),
                }
                for number, event in enumerate(recording.events, 1)
            },
            "view": {"1": {"fid_list": ["1"]}},
        }
    )


def read_label_studio(data: Any, path: Path) -> list[Recording]:
    """Reads tasks; their times are frames: the first is number 1, the last belongs to the event.

    Of several annotations of a task the one marked as ground truth is taken, else the last one;
    cancelled ones and predictions are told.

    Raises:
        DataError: A task is not as expected, or there are predictions alone.
    """
    tasks = data if isinstance(data, list) else [data]
    annotated = any(isinstance(task, dict) and task.get("annotations") for task in tasks)
    if not annotated and any(isinstance(task, dict) and task.get("predictions") for task in tasks):
        raise DataError(
            f"{path}: only predictions, no annotations: save them as annotations in Label Studio "
            "and export again."
        )
    return [_read_task(task, number, path) for number, task in enumerate(tasks, 1)]


def _read_task(task: Any, number: int, path: Path) -> Recording:
    place = f"{path}, task {number}"
    task = part(task, dict, place, "a task")
    values = part(task.get("data"), dict, place, "data")
    draft = Draft(_video_of(values), path.name, unit="frames")
    if values.get("fps"):
        draft.fields["fps"] = time_of(place, values["fps"], "fps", least=0)
    found = part(task.get("annotations") or [], list, place, "annotations")
    annotations = [part(each, dict, place, "an annotation") for each in found]
    kept = [each for each in annotations if not each.get("was_cancelled")]
    truth = [each for each in kept if each.get("ground_truth")]
    for kind, count in (
        ("cancelled", len(annotations) - len(kept)),
        ("one of several", max(0, len(kept) - 1)),
        ("prediction", len(task.get("predictions") or [])),
    ):
        if count:
            draft.tell(kind, f"{place}: {counted(count, 'annotation')} left out")
    if not kept:
        draft.tell("not annotated", f"{place}: nothing is known of it")
        draft.fields["known"] = ()
    for result in part((truth or kept or [{}])[-1].get("result") or [], list, place, "result"):
        _add_result(draft, place, part(result, dict, place, "a result"))
    return draft.done()


def _add_result(draft: Draft, task: str, result: dict[str, Any]) -> None:
    place = f"{task}, result {result.get('id')}"
    value = part(result.get("value"), dict, place, "its value")
    if "ranges" not in value:
        draft.tell("no event", f"{place}: {result.get('type')} is no span of time")
        return
    labels = part(value.get("timelinelabels") or [""], list, place, "timelinelabels")
    for span in part(value["ranges"], list, place, "ranges"):
        span = part(span, dict, place, "a range")
        start, end = (
            time_of(place, span.get(k), f"the frame {k}", least=0) for k in ("start", "end")
        )
        for label in labels:
            draft.add(place, max(0.0, start - 1), end, str(label), point=False)


def _video_of(values: dict[str, Any]) -> str:
    """Returns the name of the video in the data of a task, whatever it is called there."""
    urls = [str(value) for value in values.values() if isinstance(value, str)]
    names = [urllib.parse.unquote(url.rpartition("?d=")[2]) for url in urls]
    videos = [name for name in names if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES]
    return _UPLOADED.sub("", next(iter(videos), str(values.get("video", ""))))


def as_label_studio(recording: WrittenRecording) -> bytes:
    """A task of Label Studio; frames count from 1, the last one is included.

    What a run found are its predictions, what a person marked its annotation. The names are those
    of its template for timelines: `videoLabels` on `video`.
    """
    results = [
        _result(number, event, recording.fps) for number, event in enumerate(recording.long(), 1)
    ]
    data = {"video": Path(recording.path).name, "fps": recording.fps}
    if any(event.probability is not None for event in recording.events) or not recording.events:
        found: dict[str, Any] = {"predictions": [{"model_version": "clipline", "result": results}]}
    else:
        found = {"annotations": [{"id": 1, "result": results}]}
    return _json([{"data": data, **found}])


def _result(number: int, event: Event, fps: float) -> dict[str, Any]:
    span = {"start": round(event.start_seconds * fps) + 1, "end": round(event.end_seconds * fps)}
    sure = {} if event.probability is None else {"score": round(event.probability, 4)}
    return {
        "id": str(number),
        "type": "timelinelabels",
        "from_name": "videoLabels",
        "to_name": "video",
        **sure,
        "value": {"timelinelabels": [event.label], "ranges": [span]},
    }


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


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
