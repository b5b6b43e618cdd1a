"""Writing frames to video files."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from pipeline.atomic import expect_writable
from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.native_log import silent_native_log
from pipeline.video.files import probe
from pipeline.video.info import DamagedVideoWarning
from pipeline.video.opening import is_utf8

# FourCC of the codec for each suffix.
_CODECS: Final = {
    ".avi": "MJPG",
    ".m4v": "mp4v",
    ".mkv": "mp4v",
    ".mov": "mp4v",
    ".mp4": "mp4v",
    ".webm": "VP80",
}


class VideoWriteError(PipelineError):
    """Frames that cannot be written to a video file."""


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    codec: str | None = None,
) -> None:
    """Writes frames to a video file, which appears under its name only when it is whole.

    Args:
        path: The file. Its suffix names the container: .avi, .m4v, .mkv, .mov, .mp4 or .webm.
        frames: uint8 (H, W, 3), RGB, of one size, taken one at a time. Codecs store even heights
            and widths: to an odd one the last row or column is added once more.
        fps: Frames per second.
        codec: FourCC; None chooses by the suffix. "FFV1" in .avi is lossless.

    Raises:
        VideoWriteError: There are no frames, or one is not as it should be, or the container cannot
            hold the codec, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> from pipeline.video import iter_frames
        >>> red = np.full((32, 48, 3), (255, 0, 0), np.uint8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f"{folder}/red.avi", [red] * 5, fps=10, codec="FFV1")
        ...     next(iter_frames(f"{folder}/red.avi"))[0, 0].tolist()
        [255, 0, 0]
    """
    path = Path(path)
    check_target(path)
    # The suffix stays last: it tells FFmpeg the container.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        partial.touch()
    except OSError as error:
        raise VideoWriteError(f"{path}: it cannot be written: {error.strerror}.") from None
    try:
        count = _encode(partial, path, frames, fps, codec or _CODECS[path.suffix.lower()])
        _check_whole(partial, path, count)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_target(
    path: str | os.PathLike[str], *, source: str | os.PathLike[str] | None = None
) -> None:
    """Makes sure, before work begins, that `write_video` can write to a path.

    Args:
        path: The file to write.
        source: A file that is not to be replaced, since it is what is written anew.

    Raises:
        VideoWriteError: It cannot.
    """
    path = Path(path)
    if path.suffix.lower() not in _CODECS:
        raise VideoWriteError(
            f"{path}: expected a suffix among {', '.join(_CODECS)}, got {path.suffix!r}."
        )
    if not is_utf8(str(path)):
        raise VideoWriteError(f"{path!a}: expected a name of valid UTF-8, which OpenCV needs.")
    if not path.parent.is_dir():
        raise VideoWriteError(f"{path}: the folder {path.parent} does not exist; create it first.")
    try:
        expect_writable(path)
    except OSError as error:
        raise VideoWriteError(
            f"{path}: it cannot be written: {error.strerror}. Make sure that the folder can be "
            "written, or name a file in another one."
        ) from None
    if source and path.exists() and Path(source).exists() and path.samefile(source):
        raise VideoWriteError(f"{path} is the video itself; name another file.")


def _encode(partial: Path, path: Path, frames: Iterable[np.ndarray], fps: float, codec: str) -> int:
    """Writes the frames to `partial` and returns their number."""
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise VideoWriteError(f"{path}: expected at least one frame, got none.")
    _check_frame(path, first, first.shape)
    writer = _open(partial, path, _even(first).shape, fps, codec)
    count = 0
    try:
        for frame in itertools.chain([first], iterator):
            _check_frame(path, frame, first.shape)
            writer.write(cv2.cvtColor(_even(frame), cv2.COLOR_RGB2BGR))
            count += 1
    finally:
        writer.release()
    return count


def _check_frame(path: Path, frame: np.ndarray, shape: tuple[int, ...]) -> None:
    right = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    if not right or frame.shape != shape:
        raise VideoWriteError(
            f"{path}: expected frames of uint8 (H, W, 3), all of one size, got {frame.dtype} "
            f"{frame.shape}, the first one being {shape}."
        )


def _even(frame: np.ndarray) -> np.ndarray:
    # OpenCV would cut off the last row or column of an odd size without a word.
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return frame


def _open(
    partial: Path, path: Path, shape: tuple[int, ...], fps: float, codec: str
) -> cv2.VideoWriter:
    if len(codec) == 4 and 0 < fps < math.inf:
        with silent_native_log():  # what FFmpeg thinks of the codec
            writer = cv2.VideoWriter(
                str(partial.absolute()),
                cv2.CAP_FFMPEG,
                cv2.VideoWriter.fourcc(*codec),
                fps,
                (shape[1], shape[0]),
            )
        if writer.isOpened():
            return writer
    raise VideoWriteError(
        f"{path}: cannot write {codec!r} at {fps} frames per second into {path.suffix} files: "
        f"use {_CODECS[path.suffix.lower()]!r}."
    )


def _check_whole(partial: Path, path: Path, count: int) -> None:
    """Counts the frames: OpenCV reports no failed write, and the header may claim what is lost."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedVideoWarning)
            written = probe(partial, count_frames=True).num_frames
    except VideoDecodeError:
        written = 0
    if written != count:
        raise VideoWriteError(
            f"{path}: {written} of {count} frames could be written; is the disk full?"
        )
