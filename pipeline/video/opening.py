"""Opening a video file at its first frame, or saying why it has none, to help its owner.

Log lines of FFmpeg and OpenCV are kept off stderr: what matters in them becomes an error.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import cv2

from pipeline.errors import VideoDecodeError
from pipeline.video.info import NO_LIMITS, Limits, codec_name

# FFmpeg is told once, by OpenCV, when a process opens its first video; -8 is its level "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_logging = cv2.utils.logging

NO_FILE: Final = "it is a folder, a pipe or a device, not a file."
NOT_UTF8 = "its name is not valid UTF-8, which OpenCV needs; rename the file."

_CONTAINERS: Final = (
    "apng,asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,"
    "ogg,rm,wtv,yuv4mpegpipe"
)
"""FFmpeg's names of those whose frames are inside."""

_VIDEOS: Final = (
    *((4, b"ftyp"), (8, b"AVI "), (0, b"\x1aE\xdf\xa3"), (0, b"FLV"), (0, b"OggS")),
    *((0, b"0&\xb2u"), (0, b"\x00\x00\x01"), (0, b"G")),
)
"""Bytes of containers whose header FFmpeg reads alone, GIF among them, and where they stand."""


def whole_files_only() -> None:
    """Makes this process, and those it starts, open videos alone whose frames are in their files.

    A list of other files, or of addresses, is none: who sends one must not have it followed here.
    """
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
        f"format_whitelist;{_CONTAINERS}|protocol_whitelist;file"
    )


def open_capture(path: str, limits: Limits = NO_LIMITS) -> cv2.VideoCapture:
    """Opens a video file; its first frame is grabbed.

    Raises:
        VideoDecodeError: No frame can be had from the file, or its frames are too large.
    """
    codec = ""
    if is_utf8(path) and Path(path).is_file():  # else a pipe would be waited for
        # Absolute, lest FFmpeg take "take:1.mp4" for the address of a protocol.
        absolute = str(Path(path).absolute())
        limits.check_pixels(path, *_picture_size(absolute))
        with quiet():
            capture = cv2.VideoCapture(absolute, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
            if capture.isOpened():
                sides = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
                limits.check_pixels(path, *(int(capture.get(side)) for side in sides))
                if capture.grab():
                    return capture
                codec = codec_name(capture)
    raise VideoDecodeError(path, _why_unreadable(path, codec))


def expect_file(path: str) -> None:
    """Makes sure that a path is none of a folder, a pipe or a device, which may be waited for.

    Raises:
        VideoDecodeError: It is.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise VideoDecodeError(path, NO_FILE)


def is_utf8(path: str) -> bool:
    """Whether OpenCV can take the path: any other crashes the process."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _picture_size(path: str) -> tuple[int, int]:
    """Width and height of a picture by its header, which FFmpeg decodes to say so; else 0, 0."""
    with suppress(Exception), Path(path).open("rb") as file:
        head = file.read(16)
        if not any(head[at:].startswith(sign) for at, sign in _VIDEOS):
            return _pillow_size(path)
    return 0, 0


def _pillow_size(path: str) -> tuple[int, int]:
    """The same, of a picture as Pillow opens it.

    Raises:
        Exception: It is none.
    """
    from PIL import Image  # Whoever opens videos alone does without it.

    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # There is a limit of our own.
    try:
        with Image.open(path) as picture:
            return picture.size
    finally:
        Image.MAX_IMAGE_PIXELS = most


def _why_unreadable(path: str, codec: str) -> str:
    """The reason, and the way out where there is one; `codec` is empty if FFmpeg found no video."""
    if not is_utf8(path):
        return NOT_UTF8
    if Path(path).exists() and not Path(path).is_file():
        return NO_FILE
    try:
        with Path(path).open("rb") as file:
            head = file.read(64)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}."
    if not head:
        return "it is empty (0 bytes); copy or download it again."
    if codec:
        return (
            f"no frame of its {codec} video decodes: OpenCV lacks the codec here, or the file is "
            "damaged; try to convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4"
        )
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the video itself; fetch that with: git lfs pull"
    if head.isascii() and all(c.isprintable() or c.isspace() for c in head.decode("ascii")):
        return f"it is text, not a video; it starts with {head[:20].decode('ascii')!r}."
    if head[4:8] == b"ftyp" and not _has_index(path):
        return (
            "it is cut off: its index (the moov box, which is written last) is missing; "
            "copy or download it again."
        )
    return "no video that OpenCV can decode is in it: it is sound only, no video, or damaged."


def _has_index(path: str) -> bool:
    """Whether an MP4 or QuickTime file has a whole moov box at its top level."""
    end = Path(path).stat().st_size
    start = 0
    with Path(path).open("rb") as file:
        while start < end:
            file.seek(start)
            size, kind = int.from_bytes(file.read(4)), file.read(4)
            if size == 1:  # the size follows in 8 bytes
                size = int.from_bytes(file.read(8))
            elif size == 0:  # the box goes on until the end of the file
                size = end - start
            if kind == b"moov":
                return start + size <= end
            start += max(size, 8)
    return False


class _Silence:
    """OpenCV's own log, which is off while anyone is within; nobody waits for another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = self._level = 0

    def enter(self) -> None:
        with self._lock:
            if not self._within:
                self._level = _logging.setLogLevel(_logging.LOG_LEVEL_SILENT)
            self._within += 1

    def leave(self) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                _logging.setLogLevel(self._level)


_silence = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Silences OpenCV's own log for a while, unless the user has set OPENCV_LOG_LEVEL."""
    if "OPENCV_LOG_LEVEL" in os.environ:
        yield
        return
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
