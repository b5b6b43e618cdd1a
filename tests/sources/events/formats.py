"""Six events as each tool writes them, by the names of the formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from pipeline.sources.events.event import Event, Recording

EVENTS = (
    Event(1.0, 3.0, "walk", "ann"),
    Event(3.0, 4.0, "groom", "bob"),
    Event(5.0, 5.5, "walk", "bob"),
    Event(6.0, 9.0, "rear", "ann"),
    Event(10.0, 10.1, "groom", "ann"),
    Event(12.0, 20.0, "walk", "ann"),
)
VIDEO = "trial 1/ä 1.mp4"
FPS = 10
NUM_FRAMES = 200


def own_table(separator: str = ",", point: str = ".") -> str:
    lines = [["video", "start_seconds", "end_seconds", "label", "subject", "group", "split"]]
    lines += [[VIDEO, str(e.start_seconds), str(e.end_seconds), e.label, e.subject] for e in EVENTS]
    lines[1] += ["ann and bob", "train"]
    return "\n".join(
        separator.join([first, *(cell.replace(".", point) for cell in more)])
        for first, *more in lines
    )


def marks() -> list[tuple[str, float, Event]]:
    found = [("START", e.start_seconds, e) for e in EVENTS]
    found += [("STOP", e.end_seconds, e) for e in EVENTS]
    return sorted(found, key=lambda mark: mark[1])


def boris_new() -> str:
    head = (
        "Observation id,Observation date,Description,Observation duration,Observation type,Source,"
        "Time offset (s),Media duration (s),FPS,Subject,Behavior,Behavioral category,Behavior type,"
        "Time,Media file name,Image index,Image file path,Comment"
    )
    lines = [head]
    for status, time, event in marks():
        cells = ["t 1", "2023-05-09 17:15:54", "", "19.000", "Media file(s)", f"player #1:{VIDEO}"]
        cells += ["0.0", "20.000", "10.000", event.subject, event.label, "", status]
        cells += [f"{time:.3f}", VIDEO, str(round(FPS * time)), "NA", ""]
        lines.append(",".join(cells))
    return "\r\n".join([*lines, ""])


def boris_old() -> str:
    lines = ["Observation id\tt 1", "", "Media file(s)", "", f"Player #1\t{VIDEO}", ""]
    lines += ["Observation date\t2016-11-27 01:57:26", "", "Description\t", ""]
    lines += ["Time offset (s)\t0.0", "", "independent variables", "variable\tvalue", "a\t12", ""]
    columns = "Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment"
    lines.append(f"{columns},Status".replace(",", "\t"))
    for status, time, event in marks():
        cells = [f"{time:.3f}", VIDEO, "20.000", "10.0", event.subject, event.label, "", "", status]
        lines.append("\t".join(cells))
    return "\r\n".join(line.ljust(len(line) + 8, "\t") for line in [*lines, ""])


def boris_aggregated() -> str:
    head = (
        "Observation id,Observation date,Description,Observation type,Source,Time offset (s),"
        "Coding duration,Media duration (s),FPS (frame/s),Subject,"
        "Observation duration by subject by observation,Behavior,Behavioral category,"
        "Behavior type,Start (s),Stop (s),Duration (s),Media file name,Image index start,"
        "Image index stop,Image file path start,Image file path stop,Comment start,Comment stop"
    )
    lines = [
        f"t 1,2023-05-09 17:15:54,,Media file,player #1:{VIDEO},0.0,20.000,20.000,10.000,"
        f"{e.subject},9.1,{e.label},Not defined,STATE,{e.start_seconds:.3f},"
        f"{e.end_seconds:.3f},{e.end_seconds - e.start_seconds:.3f},{VIDEO},,,,,,"
        for e in EVENTS
    ]
    return "\r\n".join([head, *lines, ""])


def boris(**changes: object) -> str:
    observation = {
        "date": "2016-11-27T01:57:26",
        "file": {"1": [VIDEO], "2": []},
        "type": "MEDIA",
        "time offset": 0.0,
        "events": [[time, e.subject, e.label, "", ""] for _, time, e in marks()],
        "media_info": {"length": {VIDEO: 20.0}, "fps": {VIDEO: 10.0}, "offset": {"1": 0.0}},
    }
    codes = dict.fromkeys(("walk", "groom", "rear"), "State event") | {"p": "Point event"}
    project = {
        "time_format": "hh:mm:ss",
        "project_format_version": "7.0",
        "subjects_conf": {},
        "behaviors_conf": {
            str(number): {"type": kind, "key": code[0], "code": code}
            for number, (code, kind) in enumerate(codes.items())
        },
        "observations": {"t 1": {**observation, **changes}},
    }
    return json.dumps(project, indent=1)


def aligned(name: str, first: str, last: str, value: str = "") -> str:
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{first}" '
        f'TIME_SLOT_REF2="{last}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE>'
        "</ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/a.mp4" MIME_TYPE="video/mp4"/>'


def document(slots: dict[str, float | None], media: str = MEDIA, **tiers: list) -> str:
    """A document of ELAN; a tier is a list of its annotations, and its attributes."""
    times = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="{name}"' + ("/>" if time is None else f' TIME_VALUE="{time}"/>')
        for name, time in slots.items()
    )
    found = "".join(
        f'<TIER TIER_ID="{name}" {"".join(more)}>{"".join(annotations)}</TIER>'
        for name, (annotations, *more) in tiers.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds">{media}</HEADER>'
        f"<TIME_ORDER>{times}</TIME_ORDER>{found}</ANNOTATION_DOCUMENT>"
    )


def elan() -> str:
    slots, tiers = {}, {"ann": [], "bob": []}
    for number, e in enumerate(EVENTS):
        ends = f"from{number}", f"to{number}"
        slots |= dict(zip(ends, (1000 * e.start_seconds, 1000 * e.end_seconds), strict=True))
        tiers[e.subject].append(aligned(f"a{number}", *ends, e.label))
    media = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/trial%201/%C3%A4%201.mp4" MIME_TYPE="video/mp4" '
        'RELATIVE_MEDIA_URL="./trial%201/%C3%A4%201.mp4"/>'
    )
    return document(slots, media, **{name: [each] for name, each in tiers.items()})


ATTRIBUTES = {
    "1": {"aname": "behaviour", "type": 4, "options": {"0": "walk", "1": "groom", "2": "rear"}},
    "2": {"aname": "Subject", "type": 1, "options": {}},
}


def chosen(event: Event) -> dict[str, str]:
    ids = {text: number for number, text in ATTRIBUTES["1"]["options"].items()}
    return {"1": ids[event.label], "2": event.subject}


def via(*data: object, files: object = None, views: object = None, attribute: object = None) -> str:
    project = {
        "project": {},
        "attribute": attribute,
        "file": files or {"1": {"fid": 1, "fname": "a.mp4"}},
        "view": views or {"1": {"fid_list": [1]}},
        "metadata": dict(enumerate(data)),
    }
    return json.dumps(project)


def via_project() -> str:
    segments = [
        {"vid": "1", "z": [e.start_seconds, e.end_seconds], "xy": [], "av": chosen(e)}
        for e in EVENTS
    ]
    return via(*segments, files={"1": {"fid": "1", "fname": VIDEO}}, attribute=ATTRIBUTES)


def quoted(value: object) -> str:
    return '"' + json.dumps(value, ensure_ascii=False).replace('"', '""') + '"'


EXPORTED = "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)"


def via_table() -> str:
    columns = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
    lines = [EXPORTED, f"# ATTRIBUTE = {json.dumps(ATTRIBUTES)}", f"# CSV_HEADER = {columns}"]
    for number, e in enumerate(EVENTS):
        times = quoted([e.start_seconds, e.end_seconds])
        lines.append(f'"1_{number}",{quoted([VIDEO])},0,{times},"[]",{quoted(chosen(e))}')
    return "\n".join(lines)


def via_segments() -> str:
    columns = "metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata"
    lines = [EXPORTED, f"# CSV_HEADER = {columns}"]
    for number, e in enumerate(EVENTS):
        said = quoted({"behaviour": e.label, "Subject": e.subject})
        lines.append(f'"1_{number}",{quoted([VIDEO])},{e.start_seconds},{e.end_seconds},{said}')
    return "\n".join(lines)


def studio(*annotations: object, **task: object) -> str:
    return json.dumps([{"id": 1, "annotations": annotations, "data": {"video": "a.mp4"}, **task}])


def result(start: int, end: int, label: str = "walk") -> dict[str, object]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": "r", "type": "timelinelabels", "value": value}


def label_studio() -> str:
    results = [
        result(round(FPS * e.start_seconds) + 1, round(FPS * e.end_seconds), e.label)
        for e in EVENTS
    ]
    data = {"video": "/data/upload/12/1a2b3c4d-%C3%A4%201.mp4"}
    return studio({"was_cancelled": False, "result": results}, predictions=[], data=data)


def activitynet() -> str:
    annotations = [{"segment": [e.start_seconds, e.end_seconds], "label": e.label} for e in EVENTS]
    entry = {"duration": 20.0, "subset": "training", "resolution": "32x24", "url": "https://a.b/c"}
    return json.dumps({"version": "1", "database": {"ä 1": {**entry, "annotations": annotations}}})


def holding(frame: int) -> list[str]:
    return [e.label for e in EVENTS if FPS * e.start_seconds <= frame < FPS * e.end_seconds]


def deepethogram() -> str:
    lines = [",background,groom,rear,walk"]
    for frame in range(NUM_FRAMES):
        cells = [int(label in holding(frame)) for label in ("groom", "rear", "walk")]
        lines.append(",".join(map(str, [frame, int(not any(cells)), *cells])))
    return "\n".join([*lines, ""])


def ms_tcn() -> str:
    return "".join(f"{(holding(frame) or ['background'])[0]}\n" for frame in range(NUM_FRAMES))


FORMATS: dict[str, tuple[str, Callable[[], str]]] = {
    "own table": ("events.csv", own_table),
    "own table with semicolons": ("events.csv", lambda: own_table(";", ",")),
    "own table with tabs": ("events.txt", lambda: own_table("\t", ",")),
    "BORIS, new": ("t 1.csv", boris_new),
    "BORIS, old": ("t 1.tsv", boris_old),
    "BORIS, aggregated": ("all.csv", boris_aggregated),
    "BORIS, project": ("p.boris", boris),
    "ELAN": ("ä 1.eaf", elan),
    "VIA, project": ("via.json", via_project),
    "VIA, table": ("via.csv", via_table),
    "VIA, segments": ("via.csv", via_segments),
    "Label Studio": ("export.json", label_studio),
    "ActivityNet": ("activity_net.json", activitynet),
    "DeepEthogram": ("ä 1_labels.csv", deepethogram),
    "MS-TCN": ("ä 1.txt", ms_tcn),
}
WITHOUT_SUBJECTS = ("Label Studio", "ActivityNet", "DeepEthogram", "MS-TCN")


def kinds(*recordings: Recording) -> list[str]:
    """Of what is told of some recordings."""
    return [notice.kind for recording in recordings for notice in recording.notices]


def said(recordings: Iterable[Recording]) -> list[str]:
    """Of each: its video, its events from when to when and of whom, and what is told of it."""
    return [
        f"{r.media}: {', '.join(map(_said, r.events))}" + f" {kinds(r)}" * bool(r.notices)
        for r in recordings
    ]


def _said(event: Event) -> str:
    times = f"{event.start_seconds:g}-{event.end_seconds:g}"
    return f"{times} {event.label}" + f" of {event.subject}" * bool(event.subject)
