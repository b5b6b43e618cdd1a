"""Reading the official lists of a data set, which say what its videos show and how it is split."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Split
from pipeline.tables import read_text
from pipeline.text import listed

_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idate|idation|list)?(?![a-z])")


def check_fold(fold: int, folds: range) -> None:
    """Makes sure that a data set has this fold.

    Raises:
        ConfigError: It has not.
    """
    if fold not in folds:
        raise ConfigError(f"--fold: expected a number from {folds[0]} to {folds[-1]}, got {fold}.")


def split_of(name: str) -> Split | None:
    """The split that a name speaks of.

    Example:
        >>> [split_of(name) for name in ("hmdb51_val_split_1.txt", "TrainList01", "contest.csv")]
        ['val', 'train', None]
    """
    match = _SPLIT.search(name.lower())
    return match[1] if match else None  # type: ignore[return-value]


def find_lists(
    path: str | os.PathLike[str],
    annotations: str,
    *patterns: str,
    folders: Sequence[str] = (),
    download: str = "",
) -> list[Path]:
    """Finds lists by name, in the usual places.

    Args:
        path: Folder of the videos.
        annotations: A list, or the folder to look in; empty: in `path`, then beside it.
        patterns: Names of the lists, with `*` for anything.
        folders: Names of sub-folders of these places where the lists may lie as well.
        download: A sentence that says what to download from where; empty: there may be none.

    Returns:
        The lists of the first place that has any, absolute, in sorted order.

    Raises:
        DataError: There are none.
    """
    given, root = Path(annotations).absolute(), Path(path).absolute()
    if annotations and given.is_file():
        found = {given} if any(fnmatch.fnmatch(given.name, name) for name in patterns) else set()
    else:
        places = [given] if annotations else [root, root.parent]
        found = _first_lists([p / name for p in places for name in ("", *folders)], patterns)
    if not found and download:
        where = annotations or f"{path} and beside it"
        raise DataError(
            f"expected the official lists, {listed(patterns)}, found none in {where}. {download} "
            "Put them into the folder of the videos, or say where they are with --annotations."
        )
    return sorted(found)


def _first_lists(folders: Sequence[Path], patterns: Sequence[str]) -> set[Path]:
    for folder in folders:
        found = {file for name in patterns for file in folder.glob(name) if file.is_file()}
        if found:
            return found
    return set()


def lines_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yields what each line holds, and before it the place to name in an error; no blank lines.

    Raises:
        DataError: The file cannot be read.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()
