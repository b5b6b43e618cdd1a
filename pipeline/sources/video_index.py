"""Finding the videos that the official lists of a data set name."""

from __future__ import annotations

import collections
import dataclasses
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row
from pipeline.text import counted, listed
from pipeline.video.paths import VIDEO_SUFFIXES, LeftOutWarning, named_files


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
