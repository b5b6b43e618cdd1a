"""Kinetics-400, -600 and -700: actions in ten seconds of videos from YouTube."""

from __future__ import annotations

import dataclasses
import os

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row
from pipeline.sources.official import VideoIndex, find_lists, keep_official_splits, split_of
from pipeline.sources.source import Source
from pipeline.tables import Table, read_lines

_DOWNLOAD = (
    "Download train.csv, val.csv (validate.csv) and test.csv of your version of Kinetics "
    "from https://github.com/cvdfoundation/kinetics-dataset."
)


def scan_kinetics(path: str | os.PathLike[str], *, annotations: str = "") -> Manifest:
    """Lists the clips of Kinetics with their official splits.

    A clip is found by name wherever it lies, below folders of splits and classes or not:
    `ID_000010_000020.mp4`, with the times in seconds that it was cut from, or `ID.mp4`; both are
    taken for the clip, not for the whole video of YouTube. Its group is the YouTube video.

    A list without labels, as the test list was published at first, is passed over. Without a test
    list that has labels, the validation list is the test, as in published results.

    Args:
        path: Folder of the clips.
        annotations: An official list, or the folder of `train.csv`, `val.csv` or `validate.csv`,
            and `test.csv`; empty: looked for in `path` and beside it.
    """
    example = "abseiling/-3B32lodo2M_000059_000069.mp4"
    videos = VideoIndex(path, example=example)
    lists = find_lists(
        path,
        annotations,
        *("*train*.csv", "*val*.csv", "*test*.csv"),
        folders=("annotations",),
        download=_DOWNLOAD,
    )
    rows = []
    for file in lists:
        for line, cells in Table(read_lines(file), file, "youtube_id", "time_start", "time_end"):
            if cells.get("label"):
                rows.append(_row(line.place, cells, videos, cells.get("split") or file.name))
    if not any(row.split == "test" for row in rows):
        rows = [
            dataclasses.replace(row, split="test") if row.split == "val" else row for row in rows
        ]
    return videos.manifest(keep_official_splits(rows))


def _row(place: str, cells: dict[str, str], videos: VideoIndex, split_name: str) -> Row:
    youtube_id, label, split = cells["youtube_id"], cells["label"], split_of(split_name)
    try:
        start, end = (int(float(cells[time])) for time in ("time_start", "time_end"))
    except (ValueError, OverflowError):
        start = end = -1
    if not youtube_id or not split or not 0 <= start < end:
        raise DataError(
            f"{place}: expected a YouTube video, times in seconds and a split of train, validate "
            f"or test, got {', '.join(map(repr, cells.values()))}."
        )
    path = videos.locate(f"{label}/{youtube_id}_{start:06d}_{end:06d}.mp4", youtube_id)
    return Row(path=path, label=label, group=youtube_id, split=split)


SOURCE = Source.with_lists("kinetics", scan_kinetics)
