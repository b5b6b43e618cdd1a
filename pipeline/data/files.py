"""Which files of a folder are videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError

VIDEO_SUFFIXES = frozenset(
    """.3gp .asf .avi .divx .f4v .flv .gif .m2ts .m2v .m4v .mjpeg .mkv .mov .mp4 .mpeg .mpg .mts
    .mxf .ogv .ts .vob .webm .wmv""".split()  # noqa: SIM905
)


def visible_files(root: Path) -> Iterator[PurePosixPath]:
    """Yields the files below a folder, relative to it; follows links to folders.

    Hidden files and folders, whose names start with `.` or `@`, are passed over.

    Raises:
        DataError: A folder cannot be read, is linked into itself, or a name is not UTF-8.
    """

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}.") from None

    for name, folders, files in os.walk(root, onerror=fail, followlinks=True):
        folder = Path(name)
        folders[:] = filter(is_visible, folders)
        for inner in folders:
            target = folder / inner
            if target.is_symlink() and folder.resolve().is_relative_to(target.resolve()):
                raise DataError(f"{target}: a link to a folder that it lies in; remove it.")
        for file in filter(is_visible, files):
            yield _posix(folder / file, root)


def is_visible(name: str) -> bool:
    """Whether a file or folder is none of those that systems and programs hide."""
    return not name.startswith((".", "@")) and name != "__MACOSX"


def _posix(file: Path, root: Path) -> PurePosixPath:
    relative = file.relative_to(root).as_posix()
    try:
        relative.encode()
    except UnicodeEncodeError:  # OpenCV cannot take such a path.
        raise DataError(f"{str(file)!r}: expected a name in UTF-8; rename the file.") from None
    return PurePosixPath(relative)
