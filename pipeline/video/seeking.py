"""Any frame of a video file by its number, the very one that reading it in order gives.

Seeking in OpenCV is not exact by itself. So a file is read through once, which notes the timestamp
of each frame; from then on where a seek has led to is known by the timestamp there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from pipeline.errors import VideoDecodeError
from pipeline.video.opening import quiet
from pipeline.video.reader import PathLike, Size, VideoReader

_NEAR_FRAMES: Final = 32
"""So far ahead, decoding on takes less than seeking, which decodes about as many before it."""

_SECONDS_BEFORE: Final = (0.5, 2.0, 8.0)
"""How long before a frame to aim at; at more where that led past it."""

_MOTION_SIZE: Final = (48, 64)
_SAME_MILLISECONDS: Final = 1e-3


class FrameMark(NamedTuple):
    """What is noted of a frame when a file is read through.

    Attributes:
        seconds: When it is shown, from the first frame on, as `VideoReader` has it.
        stamp: Its timestamp in the file, in milliseconds.
        motion: Mean difference of its brightness to that of the frame before, 0 to 255.
    """

    seconds: float
    stamp: float
    motion: float


def mark_frames(path: PathLike) -> Iterator[FrameMark]:
    """Yields the marks of all frames of a file, which is read through.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    with _MarkingReader(path) as reader:
        yield from reader.marks()


class _MarkingReader(VideoReader):
    def marks(self) -> Iterator[FrameMark]:
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # Brightness is all that it takes.
        before = None
        for seconds in self._times():
            with quiet():  # OpenCV warns of each frame of a format that it does not know by name.
                retrieved, self._stored = self._capture.retrieve(self._stored)
            if not retrieved:
                return
            small = _brightness(self._stored)
            motion = 0.0 if before is None else float(cv2.absdiff(small, before).mean())
            yield FrameMark(seconds, self._capture.get(cv2.CAP_PROP_POS_MSEC), motion)
            before = small


def _brightness(stored: np.ndarray) -> np.ndarray:
    """The brightness of a frame as it is stored, small."""
    plane = stored if stored.ndim == 2 else stored[..., 0]
    return cv2.resize(np.ascontiguousarray(plane), _MOTION_SIZE[::-1], interpolation=cv2.INTER_AREA)


class SeekingReader(VideoReader):
    """One open video file of which frames are read in any order.

    Args:
        path: The file.
    """

    def __init__(self, path: PathLike) -> None:
        super().__init__(path)
        self._at = 0  # number of the grabbed frame

    def frame(self, number: int, stamps: Sequence[float], *, size: Size | None) -> np.ndarray:
        """A frame.

        Args:
            number: Its number in the file, from 0.
            stamps: Timestamps of the frames up to this one, in milliseconds, see `FrameMark`: of
                all, or of a few hundred.
            size: See `VideoReader.frames`.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            VideoDecodeError: The file has no such frame, or was changed since it was read through.
        """
        first = number + 1 - len(stamps)
        if not self._reached(number) and not self._sought(number, first, stamps):
            self._capture.release()
            self._capture, self._at = self._open(), 0
            self._grab_until(number)
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        if self._at != number or abs(stamp - stamps[-1]) > _SAME_MILLISECONDS:
            raise VideoDecodeError(self._path, f"its frame {number} is not where it was before.")
        retrieved, self._stored = self._capture.retrieve(self._stored)
        if not retrieved:
            raise VideoDecodeError(self._path, f"its frame {number} cannot be converted to RGB.")
        return self._finished(self._stored, size)

    def _reached(self, number: int) -> bool:
        """Whether a frame is a little further on, where the file then is."""
        return 0 <= number - self._at <= _NEAR_FRAMES and self._grab_until(number)

    def _sought(self, number: int, first: int, stamps: Sequence[float]) -> bool:
        """Whether seeking leads to a frame, where the file then is."""
        for seconds in _SECONDS_BEFORE:
            target = stamps[-1] - 1000 * seconds
            if target <= stamps[0]:
                return False
            self._capture.set(cv2.CAP_PROP_POS_MSEC, target)
            self._at = -1
            if not self._capture.grab():
                continue
            place = _place(self._capture.get(cv2.CAP_PROP_POS_MSEC), stamps)
            if place is not None:
                self._at = first + place
                return self._grab_until(number)
        return False

    def _grab_until(self, number: int) -> bool:
        while self._at < number and self._capture.grab():
            self._at += 1
        return self._at == number


def _place(stamp: float, stamps: Sequence[float]) -> int | None:
    """Where a timestamp is; None where it is not there, or twice.

    Example:
        >>> [_place(stamp, [0.0, 40.0, 80.0, 0.0]) for stamp in (0.0, 40.0, 41.0)]
        [None, 1, None]
    """
    places = [at for at, each in enumerate(stamps) if abs(each - stamp) <= _SAME_MILLISECONDS]
    return places[0] if len(places) == 1 else None
