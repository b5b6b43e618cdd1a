"""From a video file to the frames that are stored: all that evaluation and classifying see."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from pipeline.atomic import named_in_errors
from pipeline.config import FramesConfig
from pipeline.errors import DataError
from pipeline.key_points import KeyPoints, Tables
from pipeline.streams import IMAGES, Shown
from pipeline.video import VideoInfo, VideoReader, timed_in_sizes
from pipeline.video.info import MOST_FPS
from pipeline.video.reader import WHOLE
from pipeline.video.timing import MOST_GAP_SECONDS

Floats = npt.NDArray[np.float32]

_IN_MEMORY: Final = 2**20
"""Bytes of one video that are held before they go to a temporary file."""

_ON_DISK: Final = Path("/var/tmp")  # noqa: S108  # The files in it have no name.
"""Where systems have room for large temporary files: /tmp may be a part of the memory."""


def stored_frames(
    reader: VideoReader,
    frames: FramesConfig,
    *,
    ticks: Iterable[tuple[int, float]] = WHOLE,
    tables: Tables | None = None,
) -> Iterator[dict[str, bytes]]:
    """Yields what is stored of an open video, at a fixed rate and size, as JPEG.

    Flow leads from the frame before to each frame, and is that of the frames as they were before
    JPEG, which would add motion of its own.

    Args:
        reader: The open file.
        frames: Rate, size and quality of the frames, and what is stored beside them.
        ticks: Which frames, see `pipeline.video.VideoReader.frames`.
        tables: Those of key points, for frames that take them.

    Yields:
        For each of `frames.images` the bytes of a JPEG file: `frames` of (size, size) pixels, the
        same object again where the file has fewer frames per second; `flow` as of `encode_flow`,
        without motion for the first frame and for one that repeats; `pose` as of
        `pipeline.streams.PosePoints`.

    Raises:
        VideoDecodeError: A frame cannot be converted to RGB, or the video has no table that fits.
    """
    each = stored_in_sizes(reader, [frames], ticks=ticks, tables=tables)
    return (stored for (stored,) in each)


def stored_in_sizes(
    reader: VideoReader,
    each: Sequence[FramesConfig],
    *,
    ticks: Iterable[tuple[int, float]] = WHOLE,
    tables: Tables | None = None,
) -> Iterator[tuple[dict[str, bytes], ...]]:
    """Yields what is stored for each of some configurations of one rate, see `stored_frames`."""
    points = [_points_of(reader, frames, tables) for frames in each]
    shown = reader.frames_in_sizes(sizes_of(each), fps=each[0].fps, ticks=ticks)
    yield from encode_frames(shown, each, points)


def _points_of(
    reader: VideoReader, frames: FramesConfig, tables: Tables | None
) -> Callable[[], Floats] | None:
    """What gives the key points of the frame that was read last."""
    if not frames.key_points or not tables:
        return None
    found = KeyPoints.open(tables, reader.info, frames.key_points, frames.pose)
    return lambda: found.at(reader.index)


def sizes_of(each: Sequence[FramesConfig]) -> list[tuple[int, int] | None]:
    """The sizes of the frames that `encode_frames` takes; None: as they are in the file."""
    squares: list[tuple[int, int] | None] = [(frames.size, frames.size) for frames in each]
    return [*squares, None] if any(map(_needs_whole, each)) else squares


def encode_frames(
    shown: Iterable[tuple[np.ndarray, ...]],
    each: Sequence[FramesConfig],
    points: Sequence[Callable[[], Floats] | None] = (),
) -> Iterator[tuple[dict[str, bytes], ...]]:
    """Yields what is stored of frames that have the right rate, see `stored_frames`.

    Args:
        shown: Each in all of `sizes_of`, uint8 (H, W, 3), RGB; the same objects again where a frame
            repeats.
        each: What is stored.
        points: For each what gives the key points of the frame that was shown last, from a table.

    Raises:
        DataError: What makes it is not there.
    """
    encoders = [_FrameEncoder(frames) for frames in each]
    points = points or [None] * len(each)
    for sizes in shown:
        small, whole = sizes[: len(each)], sizes[-1] if len(sizes) > len(each) else None
        yield tuple(
            encode(Shown(frame, whole, found and found()))
            for encode, frame, found in zip(encoders, small, points, strict=True)
        )


def _needs_whole(frames: FramesConfig) -> bool:
    return any(IMAGES[name].needs_whole(frames) for name in frames.images)


class _FrameEncoder:
    """Makes what is stored of one frame after the other."""

    def __init__(self, frames: FramesConfig) -> None:
        self._encoders = {name: IMAGES[name].encoder(frames) for name in frames.images}
        self._last: np.ndarray | None = None
        self._stored: dict[str, bytes] = {}

    def __call__(self, shown: Shown) -> dict[str, bytes]:
        """What is stored of a frame."""
        repeats = shown.frame is self._last
        before = None if repeats else self._last
        self._last = shown.frame
        self._stored = {
            name: self._stored[name]
            if repeats and not IMAGES[name].is_motion
            else encode(shown, before)
            for name, encode in self._encoders.items()
        }
        return self._stored


def encode_video(
    path: str | os.PathLike[str], frames: FramesConfig
) -> tuple[dict[str, list[bytes]], VideoInfo]:
    """Reads what is stored of a whole video file, see `stored_frames`.

    Returns:
        The images by their names, and what is known of the file, with the number of frames that
        it decodes to.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    with VideoReader(path) as reader:
        images = by_name(stored_frames(reader, frames), frames)
    return images, reader.info


def encode_array(array: np.ndarray, frames: FramesConfig, *, fps: float) -> dict[str, list[bytes]]:
    """Stored images of a video that is an array, as `encode_video` gives them of a file.

    Args:
        array: uint8 (N, H, W, 3), RGB.
        frames: As of `stored_frames`.
        fps: Frames per second of the array, 0.1 to 1,000.

    Raises:
        DataError: The array is not one of frames, or `fps` is out of range.
    """
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or not array.size:
        raise DataError(
            f"expected frames as uint8 (N, H, W, 3), RGB, got {array.dtype} {array.shape}"
        )
    if not 1 / MOST_GAP_SECONDS <= fps <= MOST_FPS:
        raise DataError(
            f"expected frames per second from {1 / MOST_GAP_SECONDS:g} to {MOST_FPS:g}, got {fps}"
        )
    timed = ((index / fps, frame) for index, frame in enumerate(array))
    shown = timed_in_sizes(timed, fps=frames.fps, sizes=sizes_of([frames]), frame_seconds=1 / fps)
    return by_name((stored for (stored,) in encode_frames(shown, [frames])), frames)


def by_name(stored: Iterable[dict[str, bytes]], frames: FramesConfig) -> dict[str, list[bytes]]:
    """The images of `stored_frames` as a list for each name, all of the same length."""
    images: dict[str, list[bytes]] = {name: [] for name in frames.images}
    for each in stored:
        for name, image in each.items():
            images[name].append(image)
    return images


class FrameSpool:
    """The stored frames, or flow, of one video of any length in constant memory; a context manager.

    Args:
        folder: Where to put what is too much for the memory; None: the folder that TMPDIR names,
            or one of the system's.

    Attributes:
        num_bytes: Bytes of all of them together.
        lengths: Bytes of each.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = _place(folder)
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            _IN_MEMORY, dir=str(self._folder)
        )
        self.num_bytes = 0
        self.lengths = array("L")
        self._starts = array("Q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # What cannot be written any more is not needed any more.
            self._file.close()

    def append(self, image: bytes) -> None:
        """Adds a frame.

        Raises:
            OSError: There is no room for it; the error names the folder.
        """
        with named_in_errors(self._folder):
            self._file.write(image)
        self._starts.append(self.num_bytes)
        self.lengths.append(len(image))
        self.num_bytes += len(image)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> bytes:
        """Returns a frame; no frame can be added after that."""
        self._seek(self._starts[index])
        return self._file.read(self.lengths[index])

    def __iter__(self) -> Iterator[bytes]:
        """Yields all frames in order; no frame can be added after that."""
        self._seek(0)
        return (self._file.read(length) for length in self.lengths)

    def _seek(self, start: int) -> None:
        with named_in_errors(self._folder):  # Before, it writes what it still holds.
            self._file.seek(start)


def _place(folder: Path | None) -> Path:
    """Where a large temporary file goes."""
    if folder:
        return folder
    is_on_disk = "TMPDIR" not in os.environ and os.access(_ON_DISK, os.W_OK)
    return _ON_DISK if is_on_disk else Path(tempfile.gettempdir())
