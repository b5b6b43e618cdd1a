"""Reading frames from video files: RGB, upright, chosen by time, in constant memory.

Frames are reached by decoding all those before them: seeking in OpenCV is not exact to the frame.
A file is decoded by one thread, which costs the least work in all, and OpenCV as a whole is set to
one; to use more cores, read several files in several processes.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, Self

import cv2
import numpy as np

from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.text import counted
from pipeline.video.images import resize
from pipeline.video.info import (
    MOST_FPS,
    NO_LIMITS,
    DamagedVideoWarning,
    Limits,
    VideoInfo,
    declared_info,
)
from pipeline.video.opening import open_capture
from pipeline.video.timing import MOST_GAP_SECONDS, TOLERANCE_SECONDS, Ticks, increasing, on_display

PathLike = str | os.PathLike[str]
Size = tuple[int, int]
WHOLE: Final = ((0, math.inf),)

# Else resizing wakes threads for less work than waking them takes.
cv2.setNumThreads(1)

# Clockwise, in degrees, as the container asks for.
_TURNS: Final = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
# A video that is longer and has fewer frames than that is none: it would repeat frames for days.
_LONG_SECONDS: Final = 3600.0
_MOST_SECONDS_A_FRAME: Final = 2.0
# Of the frames of a file; single ones are where a recording was joined or repaired.
_MOST_STEPS_BACK: Final = 0.1


class _SpoiltFrameError(Exception):
    """A frame that was grabbed, but cannot be converted: the file ended before it."""


class VideoReader:
    """One open video file, to be read once, from front to back; a context manager.

    Args:
        path: The file.
        limits: How long and how large it may be.

    Attributes:
        info: What is known of the file. Once its frames were read to the end, `num_frames` and
            `duration_seconds` are those that decode.
        index: Number in the file, from 0, of the frame that was yielded last.

    Raises:
        VideoDecodeError: No frame can be had from the file, or it is beyond the limits,
            which may turn out only while frames are read.
    """

    def __init__(self, path: PathLike, limits: Limits = NO_LIMITS) -> None:
        self._path, self._limits = os.fspath(path), limits
        self._capture = self._open()
        self._stored: np.ndarray | None = None
        self._turn = _TURNS.get(int(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)))
        self.info = declared_info(self._path, self._capture)
        limits.check_seconds(self._path, self.info.duration_seconds)
        self.index = -1
        self._is_begun = False
        self._index = -1  # of the grabbed frame
        self._steps_back = 0
        self._is_uneven = False  # Whether a frame of the file came later than it was due.
        self._clock = self._all_times()
        self._time = next(self._clock, None)  # of the grabbed frame; None after the last one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._capture.release()

    def frames(
        self,
        *,
        fps: float | None = None,
        size: Size | None = None,
        ticks: Iterable[tuple[int, float]] = WHOLE,
    ) -> Iterator[np.ndarray]:
        """Yields the frames in order of time.

        Args:
            fps: Frames per second: at each tick of 1/fps from the first frame on, the frame that is
                on display by the timestamps of the file. None: every decoded frame once.
            size: (height, width) in pixels; None leaves the frames as they are.
            ticks: With `fps`, the ticks that are asked for, see `pipeline.video.timing.Ticks`. The
                file is read up to the last of them.

        Yields:
            uint8 (H, W, 3), RGB; the same array again where a frame repeats.

        Raises:
            ConfigError: `fps` is not above 0.
            VideoDecodeError: No frame can be converted to RGB, or the clock of the file gives its
                frames hours.
        """
        return (frame for (frame,) in self.frames_in_sizes([size], fps=fps, ticks=ticks))

    def frames_in_sizes(
        self,
        sizes: Sequence[Size | None],
        *,
        fps: float | None = None,
        ticks: Iterable[tuple[int, float]] = WHOLE,
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields each frame in each of some sizes, decoded once, see `frames`."""
        if fps is not None and not 0 < fps < math.inf:
            raise ConfigError(f"fps: expected a number above 0, got {fps}.")
        shown: Iterable[tuple[tuple[np.ndarray, int], int]]
        if fps is None:
            shown = ((self._retrieve(), 1) for _ in self._times())
        else:
            shown = on_display(
                self._times(),
                self._retrieve,
                self._retrieve_previous,
                fps=fps,
                frame_seconds=1 / self.info.fps,
                ticks=Ticks(ticks),
                is_uneven=lambda: self._is_uneven,
            )
        with suppress(_SpoiltFrameError):
            for (stored, self.index), number in shown:
                finished = tuple(self._finished(stored, size) for size in sizes)
                yield from itertools.repeat(finished, number)

    def count(self) -> int:
        """Decodes the file to its end and returns the number of frames."""
        return sum(1 for _ in self._times())

    def _open(self) -> cv2.VideoCapture:
        capture = open_capture(self._path, self._limits)
        # OpenCV is told not to turn frames itself: turning them after the resize is cheaper.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        return capture

    def _times(self) -> Iterator[float]:
        """Steps from frame to frame; yields the time of each while it can be retrieved."""
        if self._is_begun:
            raise RuntimeError(f"{self._path}: a VideoReader is read once; open another one.")
        self._is_begun = True
        self._check_open()
        while self._time is not None:
            yield self._time
            self._time = next(self._clock, None)

    def _all_times(self) -> Iterator[float]:
        frame_seconds = 1 / self.info.fps
        time = before = 0.0
        for time in increasing(
            self._timestamps(), frame_seconds=frame_seconds, on_jump=self._mark_jump
        ):
            self._index += 1
            self._check_length(time)
            self._is_uneven |= time - before > frame_seconds + TOLERANCE_SECONDS
            before = time
            yield time
        self._end(self._index + 1, time + frame_seconds)

    def _end_before_frame(self) -> None:
        """Ends the file before the grabbed frame, which cannot be converted to RGB."""
        if not self._index or self._time is None:
            raise VideoDecodeError(self._path, "no frame of it can be converted to RGB.")
        seconds, self._time, self._clock = self._time, None, iter(())
        self._end(self._index, seconds, spoilt=True)

    def _end(self, num_frames: int, seconds: float, *, spoilt: bool = False) -> None:
        """Keeps what is known now that the last frame was read."""
        info = dataclasses.replace(self.info, num_frames=num_frames, duration_seconds=seconds)
        if not info.damage:
            info = dataclasses.replace(info, damage=self._wrong_clock(info))
        # With a clock that jumps, a number may be declared that follows from it.
        if spoilt or (not info.damage and self._is_cut_off(info)):
            declared = info.declared_frames or "an unknown number of"
            damage = (
                f"decoded {num_frames} of {declared} declared frames: the file is damaged there, "
                "or cut off, and what comes after is not used"
            )
            info = dataclasses.replace(info, damage=damage)
        self.info = info
        if info.damage:
            warnings.warn(f"{self._path}: {info.damage}.", DamagedVideoWarning, stacklevel=2)

    def _wrong_clock(self, info: VideoInfo) -> str:
        """The fault of a clock that does not jump; empty: none."""
        num_frames, seconds = info.num_frames or 0, info.duration_seconds - 1 / info.fps
        if self._steps_back > _MOST_STEPS_BACK * num_frames:
            wrong = "its clock runs backwards again and again"
        elif num_frames - 1 > MOST_FPS * seconds + 1:
            wrong = f"its clock gives {counted(num_frames, 'frame')} {max(seconds, 0):.3f} s"
        else:
            return ""
        return f"{wrong}; times in it, and what moves how fast, are not to be believed"

    def _is_cut_off(self, info: VideoInfo) -> bool:
        # If frames decode after a failure, the failure was not the end of the file.
        return info.is_cut_off or any(self._capture.grab() for _ in range(info.missing_frames))

    def _check_length(self, seconds: float) -> None:
        num_frames = self._index + 1
        self._limits.check_seconds(self._path, seconds)
        if seconds > max(_LONG_SECONDS, _MOST_SECONDS_A_FRAME * num_frames):
            raise VideoDecodeError(
                self._path,
                f"its clock gives {counted(num_frames, 'frame')} {seconds / 3600:.1f} hours; if "
                "it is no slide show, give them another: "
                "ffmpeg -i INPUT -vf setpts=N/25/TB -r 25 OUTPUT.mp4",
            )

    def _timestamps(self) -> Iterator[float]:
        """Yields what the container says, in seconds; the first frame is grabbed already."""
        grabbed, before = True, 0.0
        while grabbed:
            stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            self._steps_back += 0 != stamp < before  # 0: there is none
            before = stamp
            yield stamp
            grabbed = self._capture.grab()
        self._check_open()

    def _check_open(self) -> None:
        if not self._capture.isOpened():
            raise RuntimeError(f"{self._path}: the VideoReader was closed before its last frame.")

    def _retrieve(self) -> tuple[np.ndarray, int]:
        """Returns the grabbed frame as it is stored, uint8 (H, W, 3), BGR, until the next one.

        After it comes its number.
        """
        # Into the same memory each time: new memory costs more than resizing.
        retrieved, self._stored = self._capture.retrieve(self._stored)
        if not retrieved:
            self._end_before_frame()
            raise _SpoiltFrameError
        return self._stored, self._index

    def _retrieve_previous(self) -> tuple[np.ndarray, int]:
        """Returns the frame before the grabbed one, which takes decoding up to it once more.

        It is needed once a file at most: where the first frame comes later than it was due.
        """
        self._is_uneven = True
        capture = self._open()
        if not all(capture.grab() for _ in range(self._index - 1)):
            raise VideoDecodeError(self._path, "it changed while it was read; try again.")
        retrieved, frame = capture.retrieve()
        capture.release()
        if not retrieved:
            raise VideoDecodeError(self._path, "a frame of it cannot be converted to RGB.")
        return frame, self._index - 1

    def _finished(self, frame: np.ndarray, size: Size | None) -> np.ndarray:
        """Returns a new array. Resizes first: the other steps are then cheap."""
        if size is not None:
            frame = resize(frame, self._turned(size))
        if self._turn is not None:
            frame = cv2.rotate(frame, self._turn)
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def _turned(self, size: Size) -> Size:
        """Swaps height and width if frames are stored on their side."""
        return size if self._turn in (None, cv2.ROTATE_180) else size[::-1]

    def _mark_jump(self) -> None:
        self.info = dataclasses.replace(
            self.info,
            damage=f"its clock jumps ahead by more than {MOST_GAP_SECONDS:g} s; that time is "
            "left out",
        )
