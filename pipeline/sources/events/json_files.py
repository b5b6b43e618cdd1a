"""Events in JSON: timeline labels of Label Studio, and annotations as ActivityNet has them."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pipeline.errors import DataError
from pipeline.sources.events.event import Draft, Recording, part, time_of
from pipeline.sources.official import split_of
from pipeline.text import counted
from pipeline.video.paths import VIDEO_SUFFIXES

# What uploading puts before a name.
_UPLOADED: Final = re.compile(r"^.*/upload/(?:[^/]*/)*[0-9a-f]{8}-")


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
    draft = Draft(_media(values), path.name, unit="frames")
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
        _add(draft, place, part(result, dict, place, "a result"))
    return draft.done()


def _add(draft: Draft, task: str, result: dict[str, Any]) -> None:
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


def _media(values: dict[str, Any]) -> str:
    """Returns the name of the video in the data of a task, whatever it is called there."""
    urls = [str(value) for value in values.values() if isinstance(value, str)]
    names = [urllib.parse.unquote(url.rpartition("?d=")[2]) for url in urls]
    videos = [name for name in names if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES]
    return _UPLOADED.sub("", next(iter(videos), str(values.get("video", ""))))


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
