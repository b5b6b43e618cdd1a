"""Frames as they come, from a camera, an address or a pipe."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from pipeline.errors import VideoDecodeError
from pipeline.video.quiet import quiet
from pipeline.video.timing import increasing

_TIMEOUT_MS = 10_000
_DEFAULT_FPS = 25.0


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """A frame that has come.

    Attributes:
        seconds: Its time in the stream, from the first frame on.
        arrived: When it was decoded, by `time.perf_counter`, in seconds.
        image: uint8 (H, W, 3), RGB.
    """

    seconds: float
    arrived: float
    image: np.ndarray


class LiveVideo:
    """Reads a stream in a thread of its own, so that no frame is older than need be.

    A camera or an address does not wait: of what is not taken in time, the oldest frames are
    dropped. When it breaks off, it is opened again. A pipe or a file waits, and ends.

    Args:
        source: The number of a camera, such as "0"; an address, such as rtsp://... or http://...;
            "-" for what is piped in; or a path, such as that of a named pipe.
        most_waiting: Frames that are held at most.
        tries: How often in a row it is opened without getting a frame before it is given up.
        pause_seconds: Between two such tries.

    Attributes:
        dropped: Frames that were dropped so far.
        reconnects: How often it was opened again.
    """

    def __init__(
        self, source: str, *, most_waiting: int = 8, tries: int = 5, pause_seconds: float = 1.0
    ) -> None:
        self.source = source
        self._is_live = source.isdigit() or "://" in source
        self._most_waiting, self._tries, self._pause = most_waiting, tries, pause_seconds
        self._waiting: deque[LiveFrame] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self.dropped = self.reconnects = 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=2)

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yields frames until the stream ends.

        Raises:
            VideoDecodeError: Not one frame could be had from it.
        """
        some = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
                self._changed.notify_all()
            some = True
            yield frame
        if not some:
            reason = (
                f"no frame came in {self._tries} tries; is it there, and is it a video?"
                if self._is_live
                else "no video that OpenCV can decode comes from it."
            )
            raise VideoDecodeError(self.source, reason)

    def _read(self) -> None:
        """Opens the stream, as often as it takes, and hands over its frames."""
        failures, clock = 0, 0.0
        while failures < self._tries and not self._closed:
            capture = self._open()
            came, clock = self._pass_on(capture, clock)
            # A file that lies behind an address has an end, too.
            ends = not self._is_live or capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
            capture.release()
            if ends and (came or not self._is_live):
                break
            failures = 0 if came else failures + 1
            if failures < self._tries:
                self.reconnects += 1
                time.sleep(self._pause)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _pass_on(self, capture: cv2.VideoCapture, clock: float) -> tuple[bool, float]:
        """Hands over the frames of one connection, whose times begin at `clock`.

        Returns:
            Whether any came, and the time after the last one.
        """
        frame_seconds = 1 / _fps(capture)
        seconds = None
        for seconds in increasing(_stamps(capture), frame_seconds=frame_seconds):
            retrieved, image = capture.retrieve()
            if not retrieved:
                break
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            if not self._hand_over(LiveFrame(clock + seconds, time.perf_counter(), image)):
                break
        if seconds is None:
            return False, clock
        return True, clock + seconds + frame_seconds

    def _open(self) -> cv2.VideoCapture:
        with quiet():
            if self.source.isdigit():
                return cv2.VideoCapture(int(self.source))
            if "://" in self.source:
                limits = [
                    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS),
                    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS),
                ]
                return cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, limits)
            name = "pipe:0" if self.source == "-" else str(Path(self.source).absolute())
            return cv2.VideoCapture(name, cv2.CAP_FFMPEG)

    def _hand_over(self, frame: LiveFrame) -> bool:
        """Leaves a frame to be taken; false once nobody will."""
        with self._changed:
            if not self._is_live:
                self._changed.wait_for(
                    lambda: len(self._waiting) < self._most_waiting or self._closed
                )
            elif len(self._waiting) >= self._most_waiting:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(frame)
            self._changed.notify_all()
            return not self._closed


def _stamps(capture: cv2.VideoCapture) -> Iterator[float]:
    """Grabs frame after frame; yields the time that the stream gives of each, in seconds."""
    while capture.isOpened() and capture.grab():
        yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000


def _fps(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else _DEFAULT_FPS
