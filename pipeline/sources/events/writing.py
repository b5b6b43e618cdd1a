"""Events in the files of annotation programs, for those who correct them there.

What is written here, `reading` reads as the same events. ELAN and Label Studio know no points in
time: there, one has the length of a frame. Label Studio knows no subjects. BORIS opens none of it.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_BORIS = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *("Observation type", "Source", "Media duration (s)", "FPS", "Subject", "Behavior"),
    *("Behavioral category", "Behavior type", "Time", "Media file name", "Image index"),
    *("Image file path", "Comment"),
)
_NOBODY: Final = "No focal subject"
_SCHEMA: Final = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenEvent:
    """An event to be written.

    Attributes:
        start_seconds: From the first frame of the recording on.
        end_seconds: Where it ends; the same as its start: a point in time.
        label: Class name.
        subject: Who did it; empty: nobody in particular.
        notes: What else is said of it.
        probability: How sure a run is of it; None: a person marked it.
    """

    start_seconds: float
    end_seconds: float
    label: str
    subject: str = ""
    notes: str = ""
    probability: float | None = None

    @property
    def is_point(self) -> bool:
        """Whether it has no length."""
        return self.end_seconds == self.start_seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenRecording:
    """A recording with its events.

    Attributes:
        path: The video file.
        fps: Its frames per second.
        duration_seconds: Its length.
        class_names: All classes that there are.
        events: In order of their start.
    """

    path: str
    fps: float
    duration_seconds: float
    class_names: tuple[str, ...]
    events: tuple[WrittenEvent, ...]

    def long(self) -> list[WrittenEvent]:
        """The events, of which points last for a frame."""
        return [
            dataclasses.replace(each, end_seconds=each.start_seconds + 1 / self.fps)
            if each.is_point
            else each
            for each in self.events
        ]


def as_boris(recording: WrittenRecording) -> bytes:
    """A table as BORIS exports it: a line for each START, STOP and POINT, with tabs in it.

    It is for spreadsheets, R and pandas: BORIS opens projects, and no table.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _BORIS, restval="", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    name, seconds = Path(recording.path).name, f"{recording.duration_seconds:.3f}"
    same = {
        "Observation id": Path(recording.path).stem,
        "Observation date": _now().strftime("%Y-%m-%d %H:%M:%S"),
        "Observation duration": seconds,
        "Observation type": "Media file(s)",
        "Source": f"player #1:{name}",
        "Media duration (s)": seconds,
        "FPS": f"{recording.fps:g}",
        "Media file name": name,
    }
    for event in recording.events:
        marks = {"START": event.start_seconds, "STOP": event.end_seconds}
        about = {"Behavior": event.label, "Subject": event.subject or _NOBODY}
        for kind, time in ({"POINT": event.start_seconds} if event.is_point else marks).items():
            row = {"Behavior type": kind, "Time": f"{time:.3f}", "Comment": event.notes}
            writer.writerow({**same, **about, **row, "Image index": round(time * recording.fps)})
    return text.getvalue().encode()


def as_elan(recording: WrittenRecording) -> bytes:
    """A document of ELAN, with a tier for each class, and for each subject of it."""
    path = Path(recording.path).absolute()
    about = {"FORMAT": "3.0", "VERSION": "3.0", "AUTHOR": "Clipline"}
    about |= {"DATE": _now().isoformat("T", "seconds")}
    about |= {_SCHEMA: "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"}  # without which pympi fails
    root = ET.Element("ANNOTATION_DOCUMENT", about)
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    media = {"MEDIA_URL": path.as_uri(), "RELATIVE_MEDIA_URL": f"./{path.name}"}
    kind = "video/mp4" if path.suffix.lower() == ".mp4" else "video/*"
    ET.SubElement(header, "MEDIA_DESCRIPTOR", {**media, "MIME_TYPE": kind})
    order = ET.SubElement(root, "TIME_ORDER")
    by_tier: dict[tuple[str, str], list[WrittenEvent]] = {}
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
                "created": round(1000 * _now().timestamp()),
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


def _result(number: int, event: WrittenEvent, fps: float) -> dict[str, Any]:
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


WRITERS: Final[Mapping[str, Callable[[WrittenRecording], bytes]]] = {
    ".boris.tsv": as_boris,
    ".eaf": as_elan,
    ".via.json": as_via,
    ".label-studio.json": as_label_studio,
}
"""By how the name of a file ends."""


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
