"""Frames as they come, from a camera, an address or a pipe."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

import cv2
import numpy as np

from pipeline.errors import VideoDecodeError
from pipeline.video.info import frame_rate
from pipeline.video.opening import NOT_UTF8, is_utf8
from pipeline.video.quiet import quiet
from pipeline.video.timing import increasing, near_clock

_TIMEOUT_MS = 10_000
_CAMERA_DIGITS = 9  # as many as fit into an int of C
_MOST_OFF_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """A frame that has come.

    Attributes:
        seconds: Its time in the stream, from the first frame on; of a live one, close to the clock.
        arrived: When it was decoded, by `time.perf_counter`, in seconds.
        image: uint8 (H, W, 3), RGB.
    """

    seconds: float
    arrived: float
    image: np.ndarray


class LiveVideo:
    """Reads a stream in a thread of its own, so that no frame is older than need be.

    A camera, or an address without a known end, is live, and does not wait: of what is not taken in
    time, the oldest frames are dropped. When it breaks off, it is opened again. A pipe or a file,
    also one behind an address, waits, and ends.

    Args:
        source: The number of a camera, such as "0"; an address, such as rtsp://... or http://...;
            "-" for what is piped in; or a path, such as that of a named pipe.
        most_waiting: Frames that are held at most.
        tries: How often in a row it is opened without getting a frame before it is given up.
        pause_seconds: Between two such tries.

    Attributes:
        is_live: Whether it does not wait; known once a frame came.
        dropped: Frames that were dropped so far.
        reconnects: How often it was opened again.

    Raises:
        VideoDecodeError: There can be no such source.
    """

    def __init__(
        self, source: str, *, most_waiting: int = 8, tries: int = 5, pause_seconds: float = 1.0
    ) -> None:
        self.source = source
        self._is_camera = source.isascii() and source.isdigit()
        self._is_remote = "://" in source and not source.startswith("file://")
        self._check()
        self.is_live = False
        self._most_waiting, self._tries, self._pause = most_waiting, tries, pause_seconds
        self._waiting: deque[LiveFrame] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._last: LiveFrame | None = None
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
            VideoDecodeError: Not one frame could be had from it, or it is live and was lost.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
                self._changed.notify_all()
            yield frame
        if self._error:
            raise self._error

    def _check(self) -> None:
        if not is_utf8(self._name()):
            raise VideoDecodeError(self.source, NOT_UTF8)
        if self._is_camera and len(self.source) > _CAMERA_DIGITS:
            raise VideoDecodeError(self.source, "no camera has such a number.")

    def _read(self) -> None:
        """Follows the stream; what goes wrong is kept for whoever takes the frames."""
        try:
            self._follow()
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _follow(self) -> None:
        """Opens the stream, as often as it takes, and hands over its frames.

        Raises:
            VideoDecodeError: No frame comes, or none any more.
        """
        failures = 0
        while failures < self._tries and not self._closed:
            capture = self._open()
            has_end = capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0 or _has_length(self.source)
            self.is_live = self._is_camera or (self._is_remote and not has_end)
            came = self._pass_on(capture)
            capture.release()
            if came and not self.is_live:
                return
            if not (self._is_camera or self._is_remote):
                break
            failures = 0 if came else failures + 1
            if failures < self._tries:
                self.reconnects += 1
                self._wait()
        raise VideoDecodeError(self.source, self._why_over())

    def _why_over(self) -> str:
        if self._last:
            return f"it broke off, and then no frame came in {self._tries} tries."
        if self._is_camera or self._is_remote:
            return f"no frame came in {self._tries} tries; is it there, and is it a video?"
        if self.source != "-" and not Path(self.source).exists():
            return "there is no such file."
        return (
            "no video that OpenCV can decode comes from it. (An MP4 that is piped in needs its "
            "index in front: ffmpeg -i INPUT -c copy -movflags +faststart OUTPUT.mp4)"
        )

    def _wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._pause)

    def _pass_on(self, capture: cv2.VideoCapture) -> bool:
        """Hands over the frames of one connection; whether any came."""
        before, start = self._last, 0.0
        for seconds in self._times(capture):
            retrieved, image = capture.retrieve()
            if not retrieved:
                break
            image, now = cv2.cvtColor(image, cv2.COLOR_BGR2RGB), time.perf_counter()
            if before and self._last is before:
                start = before.seconds + now - before.arrived
            self._last = LiveFrame(start + seconds, now, image)
            if not self._hand_over(self._last):
                break
        return self._last is not before

    def _times(self, capture: cv2.VideoCapture) -> Iterator[float]:
        """Grabs frame after frame; yields the time of each in its connection, in seconds."""
        times = increasing(_stamps(capture), frame_seconds=1 / frame_rate(capture))
        if not self.is_live:
            return times
        return near_clock(times, time.perf_counter, most_seconds=_MOST_OFF_SECONDS)

    def _open(self) -> cv2.VideoCapture:
        limits = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS),
        ]
        with quiet():
            if self._is_camera:
                return cv2.VideoCapture(int(self.source))
            return cv2.VideoCapture(self._name(), cv2.CAP_FFMPEG, limits if self._is_remote else [])

    def _name(self) -> str:
        """What FFmpeg is to open."""
        if "://" in self.source:
            return self.source
        return "pipe:0" if self.source == "-" else str(Path(self.source).absolute())

    def _hand_over(self, frame: LiveFrame) -> bool:
        """Leaves a frame to be taken; false once nobody will."""
        with self._changed:
            if not self.is_live:
                self._changed.wait_for(
                    lambda: len(self._waiting) < self._most_waiting or self._closed
                )
            elif len(self._waiting) >= self._most_waiting:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(frame)
            self._changed.notify_all()
            return not self._closed


def _has_length(address: str) -> bool:
    """Whether a server says how long what it sends is: a file does not always say so itself."""
    if not address.startswith(("http://", "https://")):
        return False
    try:
        request = Request(address, method="HEAD")  # noqa: S310  # http or https
        with urlopen(request, timeout=_TIMEOUT_MS / 1000) as answer:  # noqa: S310
            return "Content-Length" in answer.headers
    except (OSError, ValueError, HTTPException):
        return False


def _stamps(capture: cv2.VideoCapture) -> Iterator[float]:
    """Grabs frame after frame; yields the time that the stream gives of each, in seconds."""
    while capture.isOpened() and capture.grab():
        yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
