"""UCF101: 101 actions in videos from YouTube, with three official splits."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.annotations import check_fold, find_lists, lines_in
from pipeline.sources.video_index import VideoIndex

_DOWNLOAD = (
    "Download UCF101TrainTestSplits-RecognitionTask.zip "
    "from https://www.crcv.ucf.edu/data/UCF101.php and unpack it."
)
_LISTS: tuple[tuple[Split, str], ...] = (("train", "trainlist"), ("test", "testlist"))
_CLIP = re.compile(r"([^/\\]+)/(v_\w+_(g\d+)_c\d+\.avi)(?:\s+\d+)?")


def scan_ucf101(path: str | os.PathLike[str], *, annotations: str = "", fold: int = 1) -> Manifest:
    """Lists the videos of UCF101 with one of its official splits.

    The group of a video is the source video that it was cut from, such as `Archery_g01`: the
    numbers start anew in each class. Files are found by name wherever they lie, in class folders
    or not, whether they say `v_HandStandPushups` or `v_HandstandPushups`; class names are those of
    `classInd.txt`.

    Args:
        path: Folder of the videos.
        annotations: The folder `ucfTrainTestlist` with the official lists; empty: looked for in
            `path` and beside it.
        fold: Which of the official splits, 1 to 3.
    """
    check_fold(fold, range(1, 4))
    videos = VideoIndex(path, example="Archery/v_Archery_g01_c01.avi", ignore_case=True)
    first, *_ = find_lists(
        path,
        annotations,
        f"trainlist{fold:02d}.txt",
        folders=("ucfTrainTestlist",),
        download=_DOWNLOAD,
    )
    classes = _read_classes(first.with_name("classInd.txt"))
    rows = []
    for split, name in _LISTS:
        for place, line in lines_in(first.with_name(f"{name}{fold:02d}.txt")):
            match = _CLIP.fullmatch(line)
            label = classes.get(match[1].lower()) if match else None
            if not match or not label:
                raise DataError(
                    f"{place}: expected a class of classInd.txt and a video, "
                    f"such as Archery/v_Archery_g01_c01.avi, got {line!r}."
                )
            file = videos.locate(f"{label}/{match[2]}")
            rows.append(Row(path=file, label=label, group=f"{label}_{match[3]}", split=split))
    return videos.manifest(rows)


def _read_classes(path: Path) -> dict[str, str]:
    """Returns the class names by their lower case."""
    classes = {}
    for place, line in lines_in(path):
        number, _, name = line.partition(" ")
        if not (number.isdecimal() and name):
            raise DataError(f"{place}: expected a number and a class name, got {line!r}.")
        classes[name.strip().lower()] = name.strip()
    return classes
