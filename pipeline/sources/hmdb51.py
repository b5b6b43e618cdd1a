"""HMDB51: 51 actions in videos from films and the web, with three official splits."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources.official import (
    VideoIndex,
    check_fold,
    find_lists,
    keep_official_splits,
    lines_in,
)
from pipeline.sources.source import Source

_FOLDER = "testTrainMulti_7030_splits"
_DOWNLOAD = (
    "Download test_train_splits.rar from https://serre-lab.clps.brown.edu/resource/"
    f"hmdb-a-large-human-motion-database/ and unpack it: it holds the folder {_FOLDER}."
)
_USES: dict[str, Split | None] = {"0": None, "1": "train", "2": "test"}


def scan_hmdb51(path: str | os.PathLike[str], *, annotations: str = "", fold: int = 1) -> Manifest:
    """Lists the videos of HMDB51 with one of its official splits.

    Each split takes 70 videos of a class for training and 30 for the test; the others are in none.

    The group of a video is its class and the title of the source video, such as
    `brush_hair/April_09`: the splits were drawn for each class on its own, with all clips of a
    source video on one side. Between classes they do not hold that line: split 1 has
    `Prelinger_HabitPat1954` in the test of `brush_hair` and in the training of `eat`, and the parts
    of one film count as titles of their own. Such splits are kept as published, since all published
    results are on them.

    Args:
        path: Folder of the videos.
        annotations: The folder `testTrainMulti_7030_splits` with the official lists; empty: looked
            for in `path` and beside it.
        fold: Which of the official splits, 1 to 3.
    """
    check_fold(fold, range(1, 4))
    videos = VideoIndex(path, example="brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi")
    ending = f"_test_split{fold}.txt"
    folders = (_FOLDER, f"test_train_splits/{_FOLDER}", "test_train_splits")
    first, *_ = find_lists(path, annotations, f"*{ending}", folders=folders, download=_DOWNLOAD)
    lists = sorted(first.parent.glob(f"*{ending}"))
    _check_complete(videos, lists, ending)
    rows, unused = [], []
    for file in lists:
        label = file.name.removesuffix(ending)
        for place, line in lines_in(file):
            name, _, use = line.rpartition(" ")
            if not name or use not in _USES:
                raise DataError(f"{place}: expected a video and 0, 1 or 2, got {line!r}.")
            video, split = videos.locate(f"{label}/{name.strip()}"), _USES[use]
            if split:
                rows.append(Row(path=video, label=label, group=_group(label, name), split=split))
            else:
                unused.append(video)
    return videos.manifest(keep_official_splits(rows), unused=unused)


def _check_complete(videos: VideoIndex, lists: list[Path], ending: str) -> None:
    """Makes sure that no class is left out as a whole, for want of its list."""
    labels = {file.name.removesuffix(ending) for file in lists}
    for video in videos.files:
        folder = video.parent.name
        if folder not in labels and f"_{folder}_" in video.name:
            raise DataError(
                f"expected {lists[0].parent / folder}{ending}, since there are videos such as "
                f"{video}, found none. {_DOWNLOAD}"
            )


def _group(label: str, name: str) -> str:
    """The class and the title that a name begins with.

    Example:
        >>> _group("climb_stairs", "Fellowship_6_climb_stairs_f_cm_np1_ba_med_3.avi")
        'climb_stairs/Fellowship_6'
    """
    # What follows the class: body parts, camera motion, people, viewpoint, quality, number.
    title_and_label = PurePosixPath(name.strip()).stem.rsplit("_", 6)[0]
    return f"{label}/{title_and_label.removesuffix(f'_{label}')}"


SOURCE = Source.with_lists("hmdb51", scan_hmdb51, folds=True)
