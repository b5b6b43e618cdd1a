"""Public data sets of actions in videos from films and the web: UCF101, HMDB51 and Kinetics.

UCF101 has 101 actions from YouTube and HMDB51 51 of films and the web, each with three official
splits. Kinetics-400, -600 and -700 have ten seconds of videos from YouTube.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path, PurePosixPath

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.sources import Source
from pipeline.sources.download import download_ucf101
from pipeline.sources.official import (
    VideoIndex,
    check_fold,
    find_lists,
    keep_official_splits,
    lines_in,
    split_of,
)
from pipeline.tables import Table, read_lines

_UCF101 = (
    "Download UCF101TrainTestSplits-RecognitionTask.zip "
    "from https://www.crcv.ucf.edu/data/UCF101.php and unpack it."
)
_UCF101_LISTS: tuple[tuple[Split, str], ...] = (("train", "trainlist"), ("test", "testlist"))
_UCF101_CLIP = re.compile(r"([^/\\]+)/(v_\w+_(g\d+)_c\d+\.avi)(?:\s+\d+)?")


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
        download=_UCF101,
    )
    classes = _read_classes(first.with_name("classInd.txt"))
    rows = []
    for split, name in _UCF101_LISTS:
        for place, line in lines_in(first.with_name(f"{name}{fold:02d}.txt")):
            match = _UCF101_CLIP.fullmatch(line)
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


def _scan_or_download(config: PrepareConfig, _: Path) -> Manifest:
    if config.download:
        download_ucf101(config.path)
    fold = config.official_fold or 1
    return scan_ucf101(config.path, annotations=config.annotations, fold=fold)


UCF101 = Source("ucf101", _scan_or_download, takes=("annotations", "fold"))


_HMDB51_FOLDER = "testTrainMulti_7030_splits"
_HMDB51 = (
    "Download test_train_splits.rar from https://serre-lab.clps.brown.edu/resource/"
    f"hmdb-a-large-human-motion-database/ and unpack it: it holds the folder {_HMDB51_FOLDER}."
)
_HMDB51_USES: dict[str, Split | None] = {"0": None, "1": "train", "2": "test"}


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
    folders = (_HMDB51_FOLDER, f"test_train_splits/{_HMDB51_FOLDER}", "test_train_splits")
    first, *_ = find_lists(path, annotations, f"*{ending}", folders=folders, download=_HMDB51)
    lists = sorted(first.parent.glob(f"*{ending}"))
    _check_complete(videos, lists, ending)
    rows, unused = [], []
    for file in lists:
        label = file.name.removesuffix(ending)
        for place, line in lines_in(file):
            name, _, use = line.rpartition(" ")
            if not name or use not in _HMDB51_USES:
                raise DataError(f"{place}: expected a video and 0, 1 or 2, got {line!r}.")
            video, split = videos.locate(f"{label}/{name.strip()}"), _HMDB51_USES[use]
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
                f"{video}, found none. {_HMDB51}"
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


HMDB51 = Source.with_lists("hmdb51", scan_hmdb51, folds=True)


_KINETICS = (
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
        download=_KINETICS,
    )
    rows = []
    for file in lists:
        for line, cells in Table(read_lines(file), file, "youtube_id", "time_start", "time_end"):
            if cells.get("label"):
                rows.append(_clip(line.place, cells, videos, cells.get("split") or file.name))
    if not any(row.split == "test" for row in rows):
        rows = [
            dataclasses.replace(row, split="test") if row.split == "val" else row for row in rows
        ]
    return videos.manifest(keep_official_splits(rows))


def _clip(place: str, cells: dict[str, str], videos: VideoIndex, split_name: str) -> Row:
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


KINETICS = Source.with_lists("kinetics", scan_kinetics)
