"""Video files by their names: what is known of one, and its frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.video.info import NO_LIMITS, Limits, VideoInfo
from pipeline.video.reader import PathLike, Size, VideoReader


def probe(path: PathLike, *, count_frames: bool = False, limits: Limits = NO_LIMITS) -> VideoInfo:
    """Returns what is known of a video file.

    Args:
        path: The file.
        count_frames: Decode the file to its end, so that `num_frames` is known and
            `duration_seconds` is exact.
        limits: How long and how large it may be.

    Raises:
        VideoDecodeError: No frame can be had from the file, or it is beyond the limits.
    """
    with VideoReader(path, limits) as reader:
        if count_frames:
            reader.count()
        return reader.info


def iter_frames(
    path: PathLike, *, fps: float | None = None, size: Size | None = None
) -> Iterator[np.ndarray]:
    """Yields the frames of a file, uint8 (H, W, 3), RGB, as `VideoReader.frames` does.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    with VideoReader(path) as reader:
        yield from reader.frames(fps=fps, size=size)
