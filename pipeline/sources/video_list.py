"""Lists of videos with the number of their class, as MMAction2 and SlowFast read them."""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, Split, read_csv
from pipeline.sources import Source
from pipeline.sources.official import lines_in, split_of
from pipeline.text import counted, listed
from pipeline.video.paths import VIDEO_SUFFIXES, LeftOutWarning

_LINE = re.compile(r"(.*[^\s,])[\s,]+([^\s,]+)")
_NUMBERED = re.compile(r"(\d+)\s+(.+)")
_CLASSES = ("label_map*.txt", "class_names.txt", "classes.txt", "labels.txt")


_Entry = tuple[str, int, Row]
"""Where it stands, the number of its class, and the row, without the label."""


def scan_list(path: str | os.PathLike[str], *, classes: str = "") -> Manifest:
    """Lists the videos that text files name: a path and the number of its class a line.

    The two are separated by a space, a tab or a comma; the path may hold any of them. Relative
    paths start at the folder of the list, or at a folder `videos...` in it. Each file is a group
    of its own.

    Args:
        path: A list; its videos are not split yet. Or a folder of lists, one a split, whose names
            say `train`, `val` or `test`.
        classes: File with one class name a line, from number 0 on, or with a number and a name a
            line; empty: a file such as `label_map.txt` beside the lists, or else the classes are
            `class 03` and so on.

    Returns:
        The videos, there or not, sorted by path.

    Raises:
        DataError: There is no list, or one is not as expected, or none of the videos is there.
    """
    lists = _find_lists(Path(path).absolute())
    folder = next(iter(lists)).parent
    entries = [entry for file, split in lists.items() for entry in _read_list(file, split)]
    if not any(Path(row.path).exists() for *_, row in entries):
        example = f", such as {entries[0][2].path}" if entries else ""
        raise DataError(f"{path}: expected the videos that it lists{example}, found none.")
    names = _read_names(classes, folder)
    width = len(str(max(number for _, number, _ in entries)))
    rows = []
    for place, number, row in sorted(entries, key=lambda entry: entry[2].path):
        label = names.get(number) if names else f"class {number:0{width}d}"
        if not label:
            raise DataError(
                f"{place}: expected the number of a class that has a name, "
                f"{min(names)} to {max(names)}, got {number}."
            )
        rows.append(dataclasses.replace(row, label=label))
    return Manifest(rows=tuple(rows))


def _find_lists(path: Path) -> dict[Path, Split | Literal[""]]:
    """Returns the lists and their splits."""
    if path.is_file():
        return {path: ""}
    by_split: dict[Split, Path] = {}
    others = []
    for file in sorted((*path.glob("*.txt"), *path.glob("*.csv"))):
        split = split_of(file.name)
        if split and split in by_split:
            raise DataError(
                f"{path}: expected one list for each split, got {by_split[split].name} and "
                f"{file.name}. Put those of one fold into a folder of their own."
            )
        if split:
            by_split[split] = file
        elif not any(file.match(name) for name in _CLASSES):
            others.append(file.name)
    if not by_split:
        problem = "has none" if path.is_dir() else "does not exist"
        raise DataError(
            f"{path} {problem}: expected a list, or a folder of lists such as train.txt and "
            "test.txt, with a video and the number of its class a line."
        )
    if others:
        message = f"{path}: left out {counted(len(others), 'file')} without a split in the name: "
        warnings.warn(message + listed(others), LeftOutWarning, stacklevel=3)
    return {file: split for split, file in by_split.items()}


def _read_list(file: Path, split: Split | Literal[""]) -> Iterator[_Entry]:
    bases = (file.parent, *sorted(file.parent.glob("videos*")))
    for place, line in lines_in(file):
        match = _LINE.fullmatch(line)
        name, number = match.groups() if match else (line, "")
        is_video = PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES
        if not (is_video and number.isdecimal()):
            raise DataError(
                f"{place}: expected a video file and the number of its class, such as "
                f"run/001.mp4 3, got {line!r}. Lists of several classes a video and of folders of "
                "frames cannot be read."
            )
        paths = (base / name for base in bases)
        found = next((path for path in paths if path.exists()), file.parent / name)
        yield place, int(number), Row(path=str(found), label="", group=name, split=split)


def _read_names(classes: str, folder: Path) -> dict[int, str]:
    """Returns the class names by number; none if there is no file with them."""
    files = [Path(classes)] if classes else [f for name in _CLASSES for f in folder.glob(name)]
    if len(files) > 1:
        raise DataError(
            f"{folder}: expected one file of class names, got {listed(f.name for f in files)}. "
            "Say which with --annotations."
        )
    if not files:
        return {}
    lines = [line for _, line in lines_in(files[0])]
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    numbered = [(int(match[1]), match[2]) for match in matches if match]
    pairs = numbered if len(numbered) == len(lines) else list(enumerate(lines))
    if not pairs or any(len(set(values)) < len(pairs) for values in zip(*pairs, strict=True)):
        raise DataError(
            f"{files[0]}: expected different class names, one a line, with or without a number "
            f"before each, got {listed(lines) or 'an empty file'}."
        )
    return dict(pairs)


CSV = Source(
    "csv",
    lambda config, _: read_csv(config.path, labelled=not config.check, several=config.multilabel),
    takes=("group_regex", "multilabel"),
)
LIST = Source(
    "list",
    lambda config, _: scan_list(config.path, classes=config.annotations),
    takes=("group_regex", "annotations"),
)
