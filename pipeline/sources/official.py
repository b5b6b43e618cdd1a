"""What official data sets share: their lists, how they are split, and finding their videos."""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest, Row, Split
from pipeline.tables import read_text
from pipeline.text import counted, listed
from pipeline.video.paths import VIDEO_SUFFIXES, LeftOutWarning, named_files

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


class CrossingGroupsWarning(UserWarning):
    """Official lists that have parts of one source video, or person, in more than one split."""


class VideoIndex:
    """The videos below a folder, found by their names wherever they lie.

    Args:
        path: The folder.
        example: What the data set calls a video, from the folder on; for errors.
        ignore_case: Whether names are the same in upper and lower case.

    Attributes:
        root: The folder, absolute.
        files: The videos, from the folder on, sorted.

    Raises:
        DataError: There is no such folder, or a part of it cannot be read.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, example: str, ignore_case: bool = False
    ) -> None:
        self._path = path
        self.root = Path(path).absolute()
        self._example = example
        self._ignore_case = ignore_case
        if not self.root.is_dir():
            problem = "is not a folder" if self.root.exists() else "does not exist"
            raise DataError(f"{path} {problem}. Expected a folder of videos, such as {example}.")
        files = (f for f in named_files(self.root) if f.suffix.lower() in VIDEO_SUFFIXES)
        self.files = sorted(files, key=str)
        self._by_stem: dict[str, PurePosixPath] = {}
        for file in self.files:
            self._by_stem.setdefault(self._stem(file), file)

    def locate(self, expected: str, *names: str) -> str:
        """Returns where a video lies; where it is expected, if it is nowhere.

        The format does not matter: `a.avi` is found as `a.mp4`, too.

        Args:
            expected: Its path from the folder on, with forward slashes.
            names: Other names that it may have.
        """
        for name in (expected, *names):
            file = self._by_stem.get(self._stem(PurePosixPath(name)))
            if file:
                return str(self.root / file)
        return str(self.root / expected)

    def manifest(self, rows: Iterable[Row], *, unused: Iterable[str] = ()) -> Manifest:
        """Returns the rows sorted by path and time; warns of videos that have none.

        Args:
            rows: One row a listed video, its path from `locate`.
            unused: Paths of videos that are listed, but in no split.

        Raises:
            DataError: None of the listed videos is there.
        """
        rows = sorted(rows, key=lambda row: (row.path, row.start_seconds))
        listed_paths = {row.path for row in rows}
        paths = {str(self.root / file): file for file in self.files}
        if not listed_paths & paths.keys():
            of_them = f" of the {len(listed_paths):,} that are listed" if listed_paths else ""
            named = f", but {counted(len(paths), 'video')} of other names" if paths else ""
            raise DataError(
                f"{self._path}: expected videos, such as {self._example}, found none{of_them}"
                f"{named}."
            )
        known = listed_paths.union(unused)
        others = [str(file) for path, file in paths.items() if path not in known]
        if others:
            warnings.warn(
                f"{self._path}: left out {counted(len(others), 'video')} that the data set has no "
                f"label for: {listed(others, most=3)}",
                LeftOutWarning,
                stacklevel=3,
            )
        return Manifest(rows=tuple(rows))

    def _stem(self, file: PurePosixPath) -> str:
        return file.stem.lower() if self._ignore_case else file.stem


def keep_official_splits(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows with each group in one split only, by naming those that are in several anew.

    What is published is what others report on; so the splits stay and a warning says what is wrong
    with them.
    """
    splits = collections.defaultdict(set)
    for row in rows:
        splits[row.group].add(row.split)
    crossing = sorted(group for group, found in splits.items() if len(found) > 1)
    if not crossing:
        return list(rows)
    warnings.warn(
        f"the official lists have {counted(len(crossing), 'source video')} in more than one split: "
        f"{listed(crossing, most=3)}. The splits are kept as they are published, and each such "
        "video counts as one group a split.",
        CrossingGroupsWarning,
        stacklevel=3,
    )
    return [
        dataclasses.replace(row, group=f"{row.group} ({row.split})")
        if len(splits[row.group]) > 1
        else row
        for row in rows
    ]
