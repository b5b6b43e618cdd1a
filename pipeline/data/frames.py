"""From a video file to the frames that are stored: all that evaluation and classifying see."""

from __future__ import annotations

import math
import os
import tempfile
from array import array
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from pipeline.config import FramesConfig
from pipeline.video import VideoInfo, VideoReader, encode_jpeg

_IN_MEMORY = 2**20
"""Bytes of one video that are held before they go to a temporary file."""


def stored_frames(
    reader: VideoReader,
    frames: FramesConfig,
    *,
    start_seconds: float = 0.0,
    end_seconds: float = math.inf,
) -> Iterator[bytes]:
    """Yields the frames of an open video at a fixed rate and size, as JPEG.

    Args:
        reader: The open file.
        frames: Rate, size and quality of the frames.
        start_seconds: Where the video starts within its file.
        end_seconds: Where it ends.

    Yields:
        The bytes of a JPEG file of (size, size) pixels; the same object again where the file has
        fewer frames per second.

    Raises:
        VideoDecodeError: A frame cannot be converted to RGB.
    """
    last, image = None, b""
    for frame in reader.frames(
        fps=frames.fps,
        size=(frames.size, frames.size),
        start_seconds=start_seconds,
        end_seconds=end_seconds,
    ):
        if frame is not last:
            last, image = frame, encode_jpeg(frame, quality=frames.jpeg_quality)
        yield image


def encode_video(
    path: str | os.PathLike[str], frames: FramesConfig
) -> tuple[list[bytes], VideoInfo]:
    """Reads a whole video file at a fixed rate and size, as JPEG.

    Args:
        path: The video file.
        frames: Rate, size and quality of the frames.

    Returns:
        The frames, each as the bytes of a JPEG file of (size, size) pixels, and what is known of
        the file, with the number of frames that it decodes to.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    with VideoReader(path) as reader:
        images = list(stored_frames(reader, frames))
    return images, reader.info


class FrameSpool:
    """The stored frames of one video, of any length in constant memory; a context manager.

    Attributes:
        num_bytes: Bytes of all of them together.
        lengths: Bytes of each.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self.num_bytes = 0
        self.lengths = array("L")
        self._starts = array("Q")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, image: bytes) -> None:
        """Adds a frame."""
        self._file.write(image)
        self._starts.append(self.num_bytes)
        self.lengths.append(len(image))
        self.num_bytes += len(image)

    def read(self, index: int) -> bytes:
        """Returns a frame; no frame can be added after that."""
        self._file.seek(self._starts[index])
        return self._file.read(self.lengths[index])

    def __iter__(self) -> Iterator[bytes]:
        """Yields all frames in order; no frame can be added after that."""
        self._file.seek(0)
        return (self._file.read(length) for length in self.lengths)
