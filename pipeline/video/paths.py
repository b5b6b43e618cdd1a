"""Which files of a folder are videos."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.text import counted, listed

VIDEO_SUFFIXES = frozenset(
    """.3gp .asf .avi .divx .f4v .flv .gif .m2ts .m2v .m4v .mjpeg .mkv .mov .mp4 .mpeg .mpg .mts
    .mxf .ogv .ts .vob .webm .wmv""".split()  # noqa: SIM905
)


class LeftOutWarning(UserWarning):
    """Files that are not taken: they are no videos by their name, or have no class, or no end."""


def visible_files(root: Path) -> Iterator[PurePosixPath]:
    """Yields the files below a folder, relative to it; follows links to folders.

    Hidden files and folders, whose names start with `.` or `@`, are passed over. So are links to
    what lies below the folder anyway, and to what they lie in themselves; a warning names them.

    Raises:
        DataError: A folder cannot be read.
    """
    circles: list[Path] = []
    for file in _below(root, (root.resolve(),), circles):
        yield PurePosixPath(file.relative_to(root).as_posix())
    if circles:
        names = listed(sorted(path.relative_to(root).as_posix() for path in circles))
        count = counted(len(circles), "link")
        message = f"{root}: left out {count} to folders that are listed without it: {names}"
        warnings.warn(message, LeftOutWarning, stacklevel=3)


def _below(folder: Path, above: tuple[Path, ...], circles: list[Path]) -> Iterator[Path]:
    """Yields the files below a folder.

    Args:
        folder: The folder.
        above: Where the root really lies, and each link on the way from there to here.
        circles: Takes the links that are not followed.
    """

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}.") from None

    for name, folders, files in os.walk(folder, onerror=fail):
        place = Path(name)
        folders[:] = filter(is_visible, folders)
        yield from (place / file for file in files if is_visible(file))
        for link in (place / inner for inner in folders if (place / inner).is_symlink()):
            here = (*above, place.resolve())
            if leads_back(link, here):
                circles.append(link)
            else:
                yield from _below(link, here, circles)


def leads_back(folder: Path, above: Sequence[Path]) -> bool:
    """Whether a folder is a link to what lies below the root anyway, or to what it lies in.

    Args:
        folder: The folder.
        above: Where the root really lies, and what was gone through on the way from there.
    """
    target = folder.resolve()
    comes_again = target.is_relative_to(above[0]) or any(p.is_relative_to(target) for p in above)
    return folder.is_symlink() and comes_again


def is_visible(name: str) -> bool:
    """Whether a file or folder is none of those that systems and programs hide."""
    return not name.startswith((".", "@")) and name != "__MACOSX"


def named_files(root: Path) -> Iterator[PurePosixPath]:
    """Yields `visible_files`, of which each can be named in a manifest.

    Raises:
        DataError: A folder cannot be read, or a name is not UTF-8.
    """
    for file in visible_files(root):
        try:
            str(file).encode()
        except UnicodeEncodeError:  # OpenCV cannot take such a path.
            name = str(root / file)
            raise DataError(f"{name!r}: expected a name in UTF-8; rename the file.") from None
        yield file
