"""The folder that the pages work in; nothing outside it is ever read or written."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from pipeline.errors import DataError
from pipeline.video.paths import VIDEO_SUFFIXES, is_visible
from pipeline.web.errors import OutsideError

_MOST_FOLDERS: Final = 5000


class VideoFolder(NamedTuple):
    """A folder that holds videos: its name in the workspace, and how many there are."""

    name: str
    num_videos: int


class Workspace:
    """A folder with all below it; links that lead out of it lead nowhere.

    Args:
        root: The folder.

    Raises:
        DataError: It is none.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise DataError(f"{root}: expected a folder")

    def path(self, name: str) -> Path:
        """The path of a file or folder that is there.

        Args:
            name: Its path from the workspace on, with "/"; empty: the workspace itself.

        Raises:
            OutsideError: There is none of that name, it is hidden, or it lies outside.
        """
        parts = PurePosixPath(name).parts
        if name.startswith("/") or not all(map(_is_plain, parts)):
            raise OutsideError(f"{name!r}: no such file or folder")
        try:
            real = self.root.joinpath(*parts).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # not there, a NUL in it, links in a circle
            raise OutsideError(f"{name!r}: no such file or folder") from None
        if not real.is_relative_to(self.root):
            raise OutsideError(f"{name!r}: no such file or folder")
        return self.root.joinpath(*parts)

    def folder(self, name: str) -> Path:
        """The path of a folder, see `path`."""
        path = self.path(name)
        if not path.is_dir():
            raise OutsideError(f"{name!r}: no such folder")
        return path

    def video(self, name: str) -> Path:
        """The path of a video file by its suffix, see `path`."""
        path = self.path(name)
        if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
            raise OutsideError(f"{name!r}: no such video")
        return path

    def videos(self, folder: str) -> list[str]:
        """Names of the video files right in a folder, sorted; see `path`."""
        return sorted(
            each.name
            for each in self.folder(folder).iterdir()
            if each.suffix.lower() in VIDEO_SUFFIXES
            and _is_plain(each.name)
            and each.is_file()
            and each.resolve().is_relative_to(self.root)
        )

    def video_folders(self) -> list[VideoFolder]:
        """Folders right in which there are videos, those at the top first."""
        found = []
        for number, (name, folders, files) in enumerate(os.walk(self.root)):
            if number == _MOST_FOLDERS:
                break
            folders[:] = sorted(filter(_is_plain, folders))
            videos = [
                each
                for each in files
                if Path(each).suffix.lower() in VIDEO_SUFFIXES and is_visible(each)
            ]
            if videos:
                place = Path(name).relative_to(self.root).as_posix()
                found.append(VideoFolder("" if place == "." else place, len(videos)))
        return found


def _is_plain(part: str) -> bool:
    """Whether a part of a path is an ordinary name, which is not hidden."""
    try:
        part.encode()
    except UnicodeEncodeError:  # OpenCV cannot take such a path.
        return False
    return is_visible(part) and not any(sign in part for sign in "\\\0\n\r")
