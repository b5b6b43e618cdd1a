"""A timeline in the files of annotation programs, to be corrected there.

Where the answer is `unknown`, nothing is written.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

from pipeline.inference.segments import Segment
from pipeline.inference.timeline import Timeline
from pipeline.manifest.class_names import UNKNOWN

_BORIS = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *("Observation type", "Source", "Media duration (s)", "FPS", "Subject", "Behavior"),
    *("Behavioral category", "Behavior type", "Time", "Media file name", "Image index"),
    *("Image file path", "Comment"),
)


def as_boris(timeline: Timeline) -> bytes:
    """The tabular export of BORIS: a line for each START and each STOP, with tabs between cells."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _BORIS, restval="", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    name, seconds = Path(timeline.path).name, f"{timeline.info.duration_seconds:.3f}"
    same = {
        "Observation id": Path(timeline.path).stem,
        "Observation date": _now().strftime("%Y-%m-%d %H:%M:%S"),
        "Observation duration": seconds,
        "Observation type": "Media file(s)",
        "Source": f"player #1:{name}",
        "Media duration (s)": seconds,
        "FPS": f"{timeline.info.fps:g}",
        "Subject": "No focal subject",
        "Media file name": name,
    }
    for segment in _known(timeline):
        marks = (("START", segment.start_seconds), ("STOP", segment.end_seconds))
        for kind, time in marks:
            row = {"Behavior": segment.label, "Behavior type": kind, "Time": f"{time:.3f}"}
            writer.writerow({**same, **row, "Image index": round(time * timeline.info.fps)})
    return text.getvalue().encode()


def as_elan(timeline: Timeline) -> bytes:
    """A document of ELAN, with a tier for each class."""
    path = Path(timeline.path).absolute()
    version = {"FORMAT": "3.0", "VERSION": "3.0", "AUTHOR": "Clipline"}
    root = ET.Element("ANNOTATION_DOCUMENT", {**version, "DATE": _now().isoformat("T", "seconds")})
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    media = {"MEDIA_URL": path.as_uri(), "RELATIVE_MEDIA_URL": f"./{path.name}"}
    kind = "video/mp4" if path.suffix.lower() == ".mp4" else "video/*"
    ET.SubElement(header, "MEDIA_DESCRIPTOR", {**media, "MIME_TYPE": kind})
    order = ET.SubElement(root, "TIME_ORDER")
    by_label: dict[str, list[Segment]] = {}
    for segment in _known(timeline):
        by_label.setdefault(segment.label, []).append(segment)
    number = 0
    for label in sorted(by_label):
        tier = ET.SubElement(root, "TIER", TIER_ID=label, LINGUISTIC_TYPE_REF="default-lt")
        for segment in by_label[label]:
            number += 1
            slots = f"ts{2 * number - 1}", f"ts{2 * number}"
            times = segment.start_seconds, segment.end_seconds
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


def as_via(timeline: Timeline) -> bytes:
    """A project of VIA 3, with the classes as options of one attribute."""
    name = Path(timeline.path).name
    options = {str(number): label for number, label in enumerate(timeline.class_names)}
    numbers = {label: number for number, label in options.items()}
    attribute = {"aname": "action", "anchor_id": "FILE1_Z2_XY0", "type": 4, "desc": ""}
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
            "attribute": {"1": {**attribute, "options": options, "default_option_id": ""}},
            "file": {"1": {"fid": "1", "fname": name, "type": 4, "loc": 1, "src": name}},
            "metadata": {
                f"1_{number}": {
                    "vid": "1",
                    "flg": 0,
                    "z": [round(segment.start_seconds, 3), round(segment.end_seconds, 3)],
                    "xy": [],
                    "av": {"1": numbers[segment.label]},
                }
                for number, segment in enumerate(_known(timeline), 1)
            },
            "view": {"1": {"fid_list": ["1"]}},
        }
    )


def as_label_studio(timeline: Timeline) -> bytes:
    """A task of Label Studio with predictions; frames count from 1, the last one is included.

    The names are those of its template for timelines: `videoLabels` on `video`.
    """
    fps = timeline.info.fps
    results = [
        {
            "id": str(number),
            "type": "timelinelabels",
            "from_name": "videoLabels",
            "to_name": "video",
            "score": round(segment.probability, 4),
            "value": {
                "timelinelabels": [segment.label],
                "ranges": [
                    {
                        "start": round(segment.start_seconds * fps) + 1,
                        "end": round(segment.end_seconds * fps),
                    }
                ],
            },
        }
        for number, segment in enumerate(_known(timeline), 1)
    ]
    data = {"video": Path(timeline.path).name, "fps": fps}
    predictions = [{"model_version": "clipline", "result": results}]
    return _json([{"data": data, "predictions": predictions}])


def _known(timeline: Timeline) -> list[Segment]:
    return [segment for segment in timeline.segments if segment.label != UNKNOWN]


def _now() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
