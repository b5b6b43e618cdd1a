"""Which table is of which video."""

from __future__ import annotations

import functools
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.errors import DataError, VideoDecodeError
from pipeline.key_points.formats import (
    DEEPLABCUT_FIRST,
    SLEAP_FRAME,
    read_deeplabcut,
    read_deeplabcut_head,
    read_sleap_csv,
    read_sleap_csv_head,
    read_sleap_h5,
    read_sleap_h5_head,
)
from pipeline.key_points.table import Head, NotATableError, Table
from pipeline.tables import read_lines
from pipeline.text import listed
from pipeline.video.paths import VIDEO_SUFFIXES, visible_files

_ENDINGS: Final = (".csv", ".h5")
"""Of two tables that differ in their ending alone, the first kind is read."""

_FILTERED: Final = "_filtered"
_OF_BONES: Final = "_skeleton"
_OF_A_TOOL: Final = re.compile("DLC|_superanimal")
"""What follows the name of a video in names of DeepLabCut."""

_EXPORTED: Final = re.compile(r"\.\d+_")
"""What comes before the name of a video in names that SLEAP's window gives what it exports."""

_ANALYSIS: Final = ".analysis"
_STAGES: Final = (".predictions", ".inference", ".cleaned", ".proofread", ".tracked", ".slp")
"""What SLEAP's commands add to names, in this order: stages, and at the end the analysis."""


class Tables:
    """The tables of key points in a folder, or a single one.

    Args:
        path: The folder; tables may lie in sub-folders, such as those of the videos. Or a table.

    Raises:
        DataError: There is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        if not self.path.exists():
            raise DataError(f"--key-points: {path} is not there. Name the folder of the tables")
        self._token = uuid.uuid4().hex
        self._latest: tuple[tuple[Path, int], Table] | None = None

    def __reduce__(self) -> tuple[Callable[[Path, str], Tables], tuple[Path, str]]:
        """Only the path travels to other processes, each of which looks for the tables once."""
        return _in_this_process, (self.path, self._token)

    @property
    def is_one(self) -> bool:
        """Whether it is a single table, of whichever video."""
        return not self.path.is_dir()

    def of(self, video: str | os.PathLike[str]) -> Path:
        """The table of a video file, found by its name.

        Where there are tables in a folder that is called as that of the video, they count alone. Of
        several, a filtered one comes before what it was made of, and CSV before HDF5.

        Raises:
            VideoDecodeError: There is none, or there are several.
        """
        if self.is_one:
            return self.path
        place = Path(video).absolute()
        named, folders = self._index
        nearest = next((tail for tail in _tails(place.parent) if tail in folders), ())
        found = _without_doubles(
            file for file in named.get(place.stem, ()) if nearest in _tails(file.parent)
        )
        if not found:
            raise VideoDecodeError(
                video,
                f"no table of key points for it in {self.path}. It is found by its name, such as "
                f"{place.stem}DLC...csv or {place.stem}.analysis.h5.",
            )
        if len(found) > 1:
            names = listed(file.name for file in found)
            raise VideoDecodeError(
                video, f"{len(found)} tables of key points for it: {names}. Leave one."
            )
        return found[0]

    def read(self, video: str) -> tuple[Path, Table]:
        """The table of a video file, which is kept until that of another one is read.

        Raises:
            VideoDecodeError: There is none, or it cannot be read.
        """
        path = self.of(video)
        with _named(path, video):
            key = path, path.stat().st_mtime_ns
        latest = self._latest  # of this thread
        if latest is None or latest[0] != key:
            self._latest = latest = key, read_table(path, video)
        return path, latest[1]

    def head(self, videos: Iterable[str]) -> Head:
        """The points that most of the tables of some videos have, and the most individuals.

        Raises:
            DataError: There is no table of any, or one is of several by its name.
        """
        found, problem, owners = [], "", dict[Path, str]()
        for video in dict.fromkeys(videos):
            try:
                table = self.of(video)
                found.append(read_head(table, video))
            except VideoDecodeError as error:
                problem = problem or str(error)
                continue
            if (other := owners.setdefault(table, video)) != video:
                raise DataError(
                    f"{table}: by its name it is of {other} and of {video}. Put the tables into "
                    "folders that are called as those of the videos"
                )
        if not found:
            raise DataError(problem or f"{self.path}: no videos for its tables")
        ((names, _),) = Counter(head.names for head in found).most_common(1)
        return Head(names, max(head.individuals for head in found))

    @functools.cached_property
    def _index(self) -> tuple[dict[str, list[Path]], set[tuple[str, ...]]]:
        """The tables by the names that their videos may have, and how their folders' paths end."""
        named, folders = dict[str, list[Path]](), set[Path]()
        for file in sorted(map(str, visible_files(self.path))):
            if file.lower().endswith(_ENDINGS):
                table = self.path / file
                folders.add(table.parent)
                for video in _videos(table.stem):
                    named.setdefault(video, []).append(table)
        return named, {tail for folder in folders for tail in _tails(folder)}


@functools.lru_cache(maxsize=1)
def _in_this_process(path: Path, token: str) -> Tables:
    tables = Tables(path)
    tables._token = token
    return tables


def read_head(path: Path, video: str) -> Head:
    """What the table of a video is of.

    Raises:
        VideoDecodeError: It cannot be read.
    """
    with _named(path, video):
        read, _ = _readers(path)
        return read(path)


def read_table(path: Path, video: str) -> Table:
    """Reads the table of a video.

    Raises:
        VideoDecodeError: It cannot be read.
    """
    with _named(path, video):
        _, read = _readers(path)
        return read(path)


def _readers(path: Path) -> tuple[Callable[[Path], Head], Callable[[Path], Table]]:
    """What reads the head of a table of this kind, and what reads it whole."""
    if path.suffix.lower() == ".h5":
        return read_sleap_h5_head, read_sleap_h5
    if _is_deeplabcut(path):
        return read_deeplabcut_head, read_deeplabcut
    return read_sleap_csv_head, read_sleap_csv


@contextmanager
def _named(path: Path, video: str) -> Iterator[None]:
    """Says of which video a table is that cannot be read."""
    try:
        yield
    except NotATableError as error:
        reason = str(error)
    except DataError as error:  # which begins with the path
        reason = str(error).removeprefix(str(path)).lstrip(":, ")
    except OSError as error:
        reason = f"cannot be read: {error.strerror or 'it is damaged'}."
    except (ValueError, LookupError, TypeError, AttributeError):
        reason = "it is damaged."
    else:
        return
    raise VideoDecodeError(video, f"its table of key points, {path.name}: {reason}")


def _is_deeplabcut(path: Path) -> bool:
    """Whether a CSV file is one of DeepLabCut, not of SLEAP.

    Raises:
        NotATableError: It is neither.
    """
    header = next((row.cells for row in read_lines(path, exact=True)), [])
    if header[:1] == [DEEPLABCUT_FIRST]:
        return True
    if SLEAP_FRAME in header:
        return False
    raise NotATableError(
        f"expected a table of DeepLabCut, which begins with {DEEPLABCUT_FIRST}, or of SLEAP, with "
        f"a column {SLEAP_FRAME}."
    )


def _videos(table: str) -> set[str]:
    """What videos a table may be of by its name, all without their endings.

    Example:
        >>> sorted(_videos("x.1_a.mp4.analysis"))
        ['a.mp4', 'x.1_a', 'x.1_a.mp4', 'x.1_a.mp4.analysis']
    """
    if table.endswith(_OF_BONES):
        return set()
    stem = table.removesuffix(_ANALYSIS)
    exported = {stem[mark.end() :] for mark in _EXPORTED.finditer(stem)} if stem != table else set()
    stages = [table, stem]
    while stem.endswith(_STAGES):
        stem = stem.rpartition(".")[0]
        stages.append(stem)
    halves = (stage.rpartition(".") for stage in stages)
    named = {name for name, _, suffix in halves if f".{suffix}" in VIDEO_SUFFIXES}
    return {
        *stages,
        *named,
        *exported,
        *(table[: mark.start()] for mark in _OF_A_TOOL.finditer(table)),
    }


def _without_doubles(tables: Iterable[Path]) -> list[Path]:
    """Without those that another one stands for, see `Tables.of`."""
    found = sorted(tables, key=lambda table: _ENDINGS.index(table.suffix.lower()))
    chosen = {table.with_suffix(""): table for table in reversed(found)}
    return [
        table
        for name, table in sorted(chosen.items())
        if name.with_name(f"{name.name}{_FILTERED}") not in chosen
    ]


def _tails(folder: Path) -> list[tuple[str, ...]]:
    """What the path of a folder ends with, backwards, from all of it to nothing."""
    parts = folder.parts[::-1]
    return [parts[:number] for number in range(len(parts), -1, -1)]
