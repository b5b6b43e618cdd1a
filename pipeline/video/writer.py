"""Writing frames to video files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import DataError

_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".webm": "VP80"}


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    codec: str | None = None,
) -> None:
    """Writes frames to a video file.

    Args:
        path: The file; its suffix chooses the container and, without `codec`, the codec.
        frames: uint8 (H, W, 3), RGB, all of one size.
        fps: Frames per second.
        codec: FourCC, four characters; "FFV1" in `.avi` is lossless.

    Raises:
        DataError: There are no frames, or the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    fourcc = cv2.VideoWriter.fourcc(*(codec or _CODECS[path.suffix.lower()]))
    writer = None
    try:
        for frame in frames:
            if writer is None:
                size = (frame.shape[1], frame.shape[0])
                writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, fourcc, fps, size)
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        if writer is None:
            raise DataError(f"{path}: expected at least one frame, got none.")
        writer.release()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
