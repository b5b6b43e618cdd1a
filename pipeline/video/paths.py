"""Video files of a folder."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.text import counted, listed

VIDEO_SUFFIXES = frozenset(
    """.3gp .asf .avi .divx .f4v .flv .gif .m2ts .m2v .m4v .mjpeg .mkv .mov .mp4 .mpeg .mpg .mts
    .mxf .ogv .ts .vob .webm .wmv""".split()  # noqa: SIM905
)

_MADE = (
    *({"prepare.json"}, {"clipline-partial"}, {"data_report.json", "data_report.md"}),
    *({"config.toml", "class_names.json"}, {"bundle.json"}, {"fusion.json"}),
    *({"crossval-of.json"}, {"ablation-of.json"}, {"auto-of.json"}),
)
"""Files by which a folder shows that Clipline made it: of data sets, and of runs."""


class LeftOutWarning(UserWarning):
    """Files that are not taken: they are no videos by their name, or have no class, or no end."""


def visible_files(root: Path) -> Iterator[PurePosixPath]:
    """Yields the files below a folder, relative to it; follows links to folders.

    Hidden files and folders, whose names start with `.` or `@`, are passed over, and so is what
    Clipline made, see `is_made`. So are links to what lies below the folder anyway, and to what
    they lie in themselves; a warning names them.

    Raises:
        DataError: A folder cannot be read.
    """
    left_out: list[str] = []
    for name, folders, files in os.walk(root, onerror=_unreadable, followlinks=True):
        place = Path(name)
        yield from (
            PurePosixPath((place / file).relative_to(root).as_posix())
            for file in files
            if is_visible(file)
        )
        folders[:] = [each for each in folders if is_visible(each) and not is_made(place / each)]
        circles = [folder for folder in folders if leads_back(place / folder, root)]
        left_out += [(place / folder).relative_to(root).as_posix() for folder in circles]
        folders[:] = [folder for folder in folders if folder not in circles]
    if left_out:
        count, names = counted(len(left_out), "link"), listed(sorted(left_out))
        message = f"{root}: left out {count} to folders that are listed without it: {names}"
        warnings.warn(message, LeftOutWarning, stacklevel=3)


def _unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}.") from None


def leads_back(folder: Path, root: Path) -> bool:
    """Whether a folder is a link to what lies below the root anyway, or to what it lies in."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    above = [place.resolve() for place in folder.parents if place.is_relative_to(root)]
    return target.is_relative_to(root.resolve()) or any(p.is_relative_to(target) for p in above)


def is_visible(name: str) -> bool:
    """Whether a file or folder is none of those that systems and programs hide."""
    return not name.startswith((".", "@")) and name != "__MACOSX"


def is_made(folder: Path) -> bool:
    """Whether Clipline made a folder, as a data set or a run, or it holds such folders alone."""
    try:
        inside = [each for each in folder.iterdir() if is_visible(each.name)]
    except OSError:  # Who walks there says so.
        return False
    names = {each.name for each in inside}
    if any(signs <= names for signs in _MADE):
        return True
    return bool(inside) and all(each.is_dir() and is_made(each) for each in inside)


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


def file_mark(path: Path) -> str:
    """Changes with a file."""
    about = path.stat()
    text = f"{path.resolve()}\n{about.st_size}\n{about.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
