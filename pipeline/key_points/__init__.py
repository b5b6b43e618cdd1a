"""Key points of animals or people that other tools found, by their tables: DeepLabCut and SLEAP.

`Tables` finds the table of a video; `KeyPoints` are its points as they are stored of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.errors import VideoDecodeError
from pipeline.key_points.files import Tables
from pipeline.key_points.table import Floats, Table
from pipeline.text import counted, listed
from pipeline.video import VideoInfo

__all__ = ["VALUES", "KeyPoints", "Tables"]

VALUES: Final = 5
"""Of each point, see `KeyPoints`."""

_SMALLEST: Final = 1e-3
"""A size below which points are taken for one, in heights of the frame."""


class KeyPoints:
    """Where the points of up to P individuals are, frame by frame, float32 (P, N, 5).

    Of each point x and y from the centre of the frame, in heights of the frame; likelihood from 0
    to 1; the size of the individual in heights of the frame, one for the whole video; and how sure
    it is that it is there: the mean likelihood of its points. Where it is not, all is 0.

    Args:
        table: What a tool found.
        people: How many individuals at most (P): those that are seen in most frames, in their order
            in the table.
        height: Of the frames, in pixels.
        width: Likewise.
    """

    def __init__(self, table: Table, people: int, height: int, width: int) -> None:
        chosen = table.points[:, _most_seen(table.points, people)]
        seen = chosen[..., 2:] > 0
        middle = np.array([width / 2, height / 2], np.float32)
        chosen[..., :2] = (chosen[..., :2] - middle) / height * seen
        self._points = chosen
        self._sizes = [_size(chosen[:, number]) for number in range(chosen.shape[1])]
        self._nobody = np.zeros((people, chosen.shape[2], VALUES), np.float32)

    @classmethod
    def open(cls, tables: Tables, info: VideoInfo, names: Sequence[str], people: int) -> KeyPoints:
        """Those of a video file.

        Args:
            tables: Where its table is.
            info: What is known of the file.
            names: Of the points (N), in the order in which they are wanted.
            people: As of the class.

        Raises:
            VideoDecodeError: There is no table, or it is of something else.
        """
        path, table = tables.read(info.path)
        problem = (
            _other_names(table, names) or _other_length(table, info) or _other_size(table, info)
        )
        if problem:
            raise VideoDecodeError(info.path, f"its table of key points, {path.name}: {problem}.")
        order = [table.names.index(name) for name in names]
        ordered = Table(tuple(names), table.points[:, :, order], table.is_whole)
        return cls(ordered, people, info.height, info.width)

    def at(self, frame: int) -> Floats:
        """The points in a frame, by its number in the file; nobody where the table ends before."""
        found = self._nobody.copy()
        if frame < len(self._points):
            shown = self._points[frame]
            flags = shown[..., 2].mean(axis=-1)
            for number, (points, size, flag) in enumerate(
                zip(shown, self._sizes, flags, strict=True)
            ):
                if flag:
                    found[number, :, :3], found[number, :, 3:] = points, (size, flag)
        return found


def _most_seen(points: Floats, people: int) -> list[int]:
    """The individuals that are there in most frames, in their order."""
    frames = (points[..., 2] > 0).any(axis=-1).sum(axis=0)
    return sorted(np.argsort(-frames, kind="stable")[:people].tolist())


def _size(points: Floats) -> float:
    """The size of an individual, of its points (F, N, 3) in all frames.

    How far its points are from their middle, as the root of the mean square: of the frames in
    which as many are seen as usual, the median. Of one that is but a point, it is 1.
    """
    seen = points[..., 2].sum(axis=-1)
    if not seen.any():
        return 1.0
    usual = np.median(seen[seen > 0])
    at, sure = points[seen >= usual, :, :2], points[seen >= usual, :, 2:]
    total = sure.sum(axis=1, keepdims=True)
    middles = (at * sure).sum(axis=1, keepdims=True) / total
    squares = ((at - middles) ** 2 * sure).sum(axis=(1, 2)) / total[:, 0, 0]
    size = float(np.median(np.sqrt(squares)))
    return size if size > _SMALLEST else 1.0


def _other_names(table: Table, names: Sequence[str]) -> str:
    if sorted(table.names) == sorted(names):
        return ""
    return f"its points are {listed(table.names)}, those of the others {listed(names)}"


def _other_length(table: Table, info: VideoInfo) -> str:
    """What is said of a table of clearly more frames than the file has, or, if whole, fewer."""
    rows, frames = len(table.points), info.declared_frames
    if frames is None:
        return ""
    few = max(min(10, frames / 2), frames / 10)  # as much as files are known to declare too many
    if rows - frames <= few and (not table.is_whole or frames - rows <= few):
        return ""
    return (
        f"it goes to frame {rows:,}, and the file has {counted(frames, 'frame')}: it is of another "
        "video, or of this one at another rate"
    )


def _other_size(table: Table, info: VideoInfo) -> str:
    """What is said of a table whose points lie outside of the picture."""
    points = table.points[table.points[..., 2] > 0]
    x, y = points[:, 0] / info.width, points[:, 1] / info.height
    outside = (abs(x - 0.5) > 1) | (abs(y - 0.5) > 1)
    if not len(points) or outside.mean() < 0.5:
        return ""
    return (
        f"its points lie outside of frames of {info.width} x {info.height} pixels: it is of a "
        "video of another size"
    )
