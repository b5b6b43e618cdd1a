"""Jester: 27 hand gestures in front of a webcam."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.annotations import find_lists, read_lines
from pipeline.sources.video_index import VideoIndex

_DOWNLOAD = (
    "Download the labels of Jester from https://www.qualcomm.com/developer/software/jester-dataset."
)
_LISTS: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "validation"))


def scan_jester(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the videos of Jester with their official splits.

    Jester comes as folders of JPEG frames; what is read are videos made of them, one a gesture, in
    any format: `34870.avi`. The error that is raised for folders of frames says how to make them.

    The validation videos are the test, as in published results: the labels of the official test
    videos were not published. Lists do not say who made a gesture, so that each video is a group
    of its own.

    Args:
        path: Folder of the videos.
        annotations: The folder of `jester-v1-train.csv` and `jester-v1-validation.csv`; empty:
            looked for in `path` and beside it.

    Returns:
        The videos that the lists name, there or not, sorted by path, in `train` and `test`.

    Raises:
        DataError: The lists or all videos are missing, or a list is not as expected.
    """
    videos = VideoIndex(path, example="34870.avi")
    first, *_ = find_lists(
        path,
        annotations,
        "jester-v1-train.csv",
        folders=("annotations", "labels"),
        download=_DOWNLOAD,
    )
    names = first.with_name("jester-v1-labels.csv")
    known = {line for _, line in read_lines(names)} if names.exists() else set()
    rows = []
    for split, name in _LISTS:
        for place, line in read_lines(first.with_name(f"jester-v1-{name}.csv")):
            video, _, label = (part.strip() for part in line.partition(";"))
            if not (video and label) or (known and label not in known):
                raise DataError(
                    f"{place}: expected a video and a label that {names.name} lists, "
                    f"such as 34870;Drumming Fingers, got {line!r}."
                )
            file = videos.locate(f"{video}.avi")
            rows.append(Row(path=file, label=label, group=video, split=split))
    if not videos.files:
        _check_no_frames(path, [row.group for row in rows])
    return videos.manifest(rows)


def _check_no_frames(path: str | os.PathLike[str], names: list[str]) -> None:
    for root in (Path(path), Path(path) / "20bn-jester-v1"):
        if any((root / name / "00001.jpg").exists() for name in names):
            raise DataError(
                f"{root}: expected one video a gesture, such as 34870.avi, got folders of JPEG "
                "frames. Make videos of them, without loss: mkdir videos; "
                f'for f in {root}/*/; do ffmpeg -framerate 12 -i "$f%05d.jpg" -c copy '
                '"videos/$(basename "$f").avi"; done'
            )
