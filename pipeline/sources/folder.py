"""Videos in class folders: one folder a class, below it videos, nested or not."""

from __future__ import annotations

import os
import warnings
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row
from pipeline.sources import Source
from pipeline.text import counted, listed
from pipeline.video.paths import (
    VIDEO_SUFFIXES,
    LeftOutWarning,
    is_made,
    is_visible,
    leads_back,
    named_files,
)

_SPLIT_FOLDERS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test"))
_LAYOUT = "Expected one folder a class with its videos below it, such as walk/001.mp4, run/001.mp4"


def scan_folder(path: str | os.PathLike[str], *, labelled: bool = True) -> Manifest:
    """Lists the videos of a folder that has one sub-folder a class.

    The name of the sub-folder is the class name; videos may be nested below it. Hidden files and
    folders, whose names start with `.` or `@`, are passed over, and data sets and runs of Clipline.

    The group of a video is the folder that it lies in, written from the class folder on, so that
    `walk/ann/1.mp4` and `run/ann/1.mp4` belong to one group, `ann`; a video directly in its class
    folder is a group of its own, such as `walk/001`.

    Args:
        path: The folder.
        labelled: Whether there must be class folders; else, where videos lie directly in the folder
            and fewer than two folders hold others, all of them are listed without labels.

    Returns:
        The videos, sorted by path, not split yet.

    Raises:
        DataError: The folder is not there or has not this layout, a class is empty, or there is
            only one class.
    """
    root = Path(path).absolute()
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{path} {problem}. {_LAYOUT}.")
    videos: list[PurePosixPath] = []
    others: list[PurePosixPath] = []
    for file in named_files(root):
        is_video = len(file.parts) > 1 and file.suffix.lower() in VIDEO_SUFFIXES
        (videos if is_video else others).append(file)
    loose = [file for file in others if file.suffix.lower() in VIDEO_SUFFIXES]
    if not labelled and loose and len({video.parts[0] for video in videos}) < 2:
        _warn_of(path, sorted(set(others) - set(loose)), "not named as a video")
        return _unlabelled(root, [*loose, *videos])
    _check_layout(path, root, videos, len(loose))
    _warn_of(path, sorted(others), "outside of a class folder or not named as a video")
    rows = (
        Row(path=str(root / video), label=video.parts[0], group=_group(video))
        for video in sorted(videos, key=str)
    )
    return Manifest(rows=tuple(rows))


def _unlabelled(root: Path, videos: list[PurePosixPath]) -> Manifest:
    rows = (Row(path=str(root / v), label="", group=str(v)) for v in sorted(videos, key=str))
    return Manifest(rows=tuple(rows))


def _check_layout(
    path: str | os.PathLike[str], root: Path, videos: list[PurePosixPath], num_loose: int
) -> None:
    folders = [folder for folder in root.iterdir() if folder.is_dir() and is_visible(folder.name)]
    passed_over = [folder for folder in folders if leads_back(folder, root) or is_made(folder)]
    classes = {folder.name for folder in folders if folder not in passed_over}
    if not classes:
        found = (
            f"no class folders, but {counted(num_loose, 'video')} directly in it"
            if num_loose
            else "neither class folders nor videos"
        )
        raise DataError(f"{path} has {found}. {_LAYOUT}.")
    if classes <= _SPLIT_FOLDERS:
        found = ", ".join(sorted(classes))
        raise DataError(
            f"{path} has folders of splits ({found}), not of classes. To keep these splits, list "
            "the videos in a table with the columns path, label and split: --source csv."
        )
    empty = sorted(classes - {video.parts[0] for video in videos})
    if empty:
        names = ", ".join(map(repr, empty))
        raise DataError(
            f"{path}: expected videos in each class folder, got none in {names}. "
            "Add videos there or remove the folder."
        )
    if len(classes) < 2:
        raise DataError(f"{path}: expected two classes or more, got only {min(classes)!r}.")


def _warn_of(path: str | os.PathLike[str], files: list[PurePosixPath], why: str) -> None:
    if files:
        message = (
            f"{path}: left out {counted(len(files), 'file')}, {why}: {listed(map(str, files))}"
        )
        warnings.warn(message, LeftOutWarning, stacklevel=3)


def _group(video: PurePosixPath) -> str:
    nested = len(video.parts) > 2
    group = PurePosixPath(*video.parts[1:-1]) if nested else video.with_suffix("")
    return str(group).strip()


SOURCE = Source(
    "folder",
    lambda config, _: scan_folder(config.path, labelled=not config.check),
    takes=("group_regex",),
)
