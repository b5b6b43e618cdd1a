"""Jester, 27 hand gestures, and Something-Something V2, 174 ways to handle things, of TwentyBN.

The validation videos are the test, as in published results: the labels of the official test videos
were not published, or long hidden. Lists do not say who made a video, so that each is a group of
its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.official import VideoIndex, find_lists, lines_in
from pipeline.sources.source import Source
from pipeline.tables import read_text

_DOWNLOAD = "Download the labels of {} from https://www.qualcomm.com/developer/software/{}."
_FOLDERS = ("annotations", "labels")
_LISTS: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "validation"))

_Entry = tuple[str, str, str, str]
"""Where it stands in a list, number and label of the video, and all that stands there."""


def scan_jester(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of Jester with their official splits.

    Jester comes as folders of JPEG frames; what is read are videos made of them, one a gesture, in
    any format: `34870.avi`. The error that is raised for folders of frames says how to make them.

    Args:
        path: Folder of the videos.
        annotations: The folder of `jester-v1-train.csv` and `jester-v1-validation.csv`; empty:
            looked for in `path` and beside it.
    """
    videos = VideoIndex(path, example="34870.avi")
    download = _DOWNLOAD.format("Jester", "jester-dataset")
    wanted = "jester-v1-train.csv"
    train, *_ = find_lists(path, annotations, wanted, folders=_FOLDERS, download=download)
    names = train.with_name("jester-v1-labels.csv")
    known = {line for _, line in lines_in(names)} if names.exists() else set()
    expected = f"a video and a label that {names.name} lists, such as 34870;Drumming Fingers"
    rows: list[Row] = []
    for split, name in _LISTS:
        entries = _lines(train.with_name(f"jester-v1-{name}.csv"))
        rows += _rows(entries, split, videos, ".avi", known, expected)
    if not videos.files:
        _check_no_frames(path, [row.group for row in rows])
    return videos.manifest(rows)


def scan_something_something(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of Something-Something V2 with their official splits.

    The class of a video is its template, without brackets, as in the list of labels: `Holding
    something next to something`.

    Args:
        path: Folder of the videos, such as `20bn-something-something-v2`.
        annotations: The folder of `train.json` and `validation.json`, or of
            `something-something-v2-train.json` and so on; empty: looked for in `path` and beside
            it.
    """
    videos = VideoIndex(path, example="78687.webm")
    download = _DOWNLOAD.format("Something-Something V2", "something-something-v-2-dataset")
    wanted = ("something-something-v2-train.json", "train.json")
    train, *_ = find_lists(path, annotations, *wanted, folders=_FOLDERS, download=download)
    prefix = train.name.removesuffix("train.json")
    names = train.with_name(f"{prefix}labels.json")
    known = set(_read_json(names, dict)) if names.exists() else set()
    expected = f"an id and a template that {names.name} lists"
    rows: list[Row] = []
    for split, name in _LISTS:
        entries = _entries(train.with_name(f"{prefix}{name}.json"))
        rows += _rows(entries, split, videos, ".webm", known, expected)
    return videos.manifest(rows)


def _rows(
    entries: Iterator[_Entry],
    split: Split,
    videos: VideoIndex,
    suffix: str,
    known: set[str],
    expected: str,
) -> Iterator[Row]:
    for place, video, label, entry in entries:
        if not (video and label) or (known and label not in known):
            raise DataError(f"{place}: expected {expected}, got {entry}.")
        yield Row(path=videos.locate(video + suffix), label=label, group=video, split=split)


def _lines(file: Path) -> Iterator[_Entry]:
    for place, line in lines_in(file):
        video, _, label = (part.strip() for part in line.partition(";"))
        yield place, video, label, repr(line)


def _entries(file: Path) -> Iterator[_Entry]:
    for number, entry in enumerate(_read_json(file, list), 1):
        values = entry if isinstance(entry, dict) else {}
        label = str(values.get("template", "")).replace("[", "").replace("]", "")
        place, video = f"{file}, entry {number}", str(values.get("id", ""))
        yield place, video, label, json.dumps(entry)[:100]


def _read_json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: expected JSON: {error.msg}.") from None
    if not isinstance(content, kind):
        raise DataError(f"{path}: expected a JSON {kind.__name__}, got {type(content).__name__}.")
    return content


def _check_no_frames(path: str | os.PathLike[str], names: list[str]) -> None:
    for root in (Path(path), Path(path) / "20bn-jester-v1"):
        if any((root / name / "00001.jpg").exists() for name in names):
            raise DataError(
                f"{root}: expected one video a gesture, such as 34870.avi, got folders of JPEG "
                "frames. Make videos of them, without loss: mkdir videos; "
                f'for f in {root}/*/; do ffmpeg -framerate 12 -i "$f%05d.jpg" -c copy '
                '"videos/$(basename "$f").avi"; done'
            )


SOMETHING_SOMETHING = Source.with_lists("something_something", scan_something_something)
JESTER = Source.with_lists("jester", scan_jester)
