"""Something-Something V2: 174 ways to handle things, told apart by how they go on in time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.annotations import find_lists, read_text
from pipeline.sources.video_index import VideoIndex

_DOWNLOAD = (
    "Download the labels of Something-Something V2 "
    "from https://www.qualcomm.com/developer/software/something-something-v-2-dataset."
)
_TRAIN = "train.json"
_LISTS: tuple[tuple[Split, str], ...] = (("train", _TRAIN), ("test", "validation.json"))


def scan_something_something(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of Something-Something V2 with their official splits.

    The class of a video is its template, without brackets, as in the list of labels: `Holding
    something next to something`. The validation videos are the test, as in published results: the
    labels of the official test videos were long hidden. Lists do not say who made a video, so that
    each is a group of its own.

    Args:
        path: Folder of the videos, such as `20bn-something-something-v2`.
        annotations: The folder of `train.json` and `validation.json`, or of
            `something-something-v2-train.json` and so on; empty: looked for in `path` and beside
            it.

    Returns:
        The videos that the lists name, there or not, sorted by path, in `train` and `test`.

    Raises:
        DataError: The lists or all videos are missing, or a list is not as expected.
    """
    videos = VideoIndex(path, example="78687.webm")
    first, *_ = find_lists(
        path,
        annotations,
        *("something-something-v2-train.json", _TRAIN),
        folders=("annotations", "labels"),
        download=_DOWNLOAD,
    )
    prefix = first.name.removesuffix(_TRAIN)
    labels = first.with_name(f"{prefix}labels.json")
    known = set(_read_json(labels, dict)) if labels.exists() else set()
    rows = []
    for split, name in _LISTS:
        file = first.with_name(prefix + name)
        for number, entry in enumerate(_read_json(file, list), 1):
            video, label = _video_and_label(entry)
            if not (video and label) or (known and label not in known):
                raise DataError(
                    f"{file}, entry {number}: expected an id and a template that "
                    f"{labels.name} lists, got {json.dumps(entry)[:100]}."
                )
            path_of_video = videos.locate(f"{video}.webm")
            rows.append(Row(path=path_of_video, label=label, group=video, split=split))
    return videos.manifest(rows)


def _video_and_label(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict):
        return "", ""
    template = str(entry.get("template", ""))
    return str(entry.get("id", "")), template.replace("[", "").replace("]", "")


def _read_json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: expected JSON: {error.msg}.") from None
    if not isinstance(content, kind):
        raise DataError(f"{path}: expected a JSON {kind.__name__}, got {type(content).__name__}.")
    return content
