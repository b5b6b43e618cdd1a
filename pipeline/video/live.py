"""Frames as they come, from a camera, an address or a pipe."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from pipeline.errors import VideoDecodeError
from pipeline.text import without_secrets
from pipeline.video.info import VideoInfo, declared_info
from pipeline.video.opening import NOT_UTF8, is_utf8, quiet
from pipeline.video.timing import increasing, near_clock

_TIMEOUT_SECONDS = 10.0
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
        name: The source as it may be shown, without credentials.
        is_live: Whether it does not wait; known once a frame came.
        dropped: Frames that were dropped so far.
        reconnects: How often it was opened again.
        undecodable: How often a frame could not be decoded, which ends a connection.

    Raises:
        VideoDecodeError: There can be no such source.
    """

    def __init__(
        self, source: str, *, most_waiting: int = 8, tries: int = 5, pause_seconds: float = 1.0
    ) -> None:
        self._source, self.name = source, without_secrets(source)
        self._is_camera = source.isascii() and source.isdigit()
        self._is_remote = "://" in source and not source.startswith("file://")
        self._check()
        if self._is_remote:
            # Else, while OpenCV waits for a dead camera, a lock keeps all other videos of the
            # process from being opened. FFmpeg needs none; OpenCV logs that the lock is gone.
            os.environ.setdefault("OPENCV_FFMPEG_IS_THREAD_SAFE", "1")
        self.is_live = False
        self._most_waiting, self._tries, self._pause = most_waiting, tries, pause_seconds
        self._waiting: deque[LiveFrame] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._last: LiveFrame | None = None
        self.dropped = self.reconnects = self.undecodable = 0
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
            VideoDecodeError: Not one frame could be had from it, or it is live and was lost, or it
                ended before its end.
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
        if not is_utf8(self._address()):
            raise VideoDecodeError(self.name, NOT_UTF8)
        if self._is_camera and len(self._source) > _CAMERA_DIGITS:
            raise VideoDecodeError(self.name, "no camera has such a number.")

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
            VideoDecodeError: No frame comes, or none any more, or it ends before its end.
        """
        failures = 0
        while failures < self._tries and not self._closed:
            capture = self._open()
            info = declared_info(self.name, capture)
            if capture.isOpened():
                self.is_live = self._is_camera or (
                    self._is_remote and not info.declared_frames and not self._has_length()
                )
            info = self._pass_on(capture, info)
            capture.release()
            if info.num_frames and not self.is_live:
                self._check_end(info)
                return
            if not (self._is_camera or self._is_remote):
                break
            failures = 0 if info.num_frames else failures + 1
            if failures < self._tries:
                self.reconnects += 1
                self._wait()
        raise VideoDecodeError(self.name, self._why_over())

    def _check_end(self, info: VideoInfo) -> None:
        """Makes sure that what ended was at its end, unless nobody takes its frames any more."""
        if self._closed or not (info.is_cut_off or self.undecodable):
            return
        declared = f" of {info.declared_frames:,}" if info.declared_frames else ""
        raise VideoDecodeError(
            self.name,
            f"it ended after {info.num_frames:,}{declared} frames: it is damaged there or cut off, "
            "or the connection broke off.",
        )

    def _why_over(self) -> str:
        if self._last:
            return f"it broke off, and then no frame came in {self._tries} tries."
        if self._is_camera:
            return (
                f"no frame came in {self._tries} tries. See that the camera is plugged in and that "
                "no other program uses it, or try another number, such as 0, 1 or 2."
            )
        if self._is_remote:
            return (
                f"no frame came in {self._tries} tries. Try the address in a player, such as VLC "
                "or ffplay: name, port, password and path must be right."
            )
        if self._source != "-" and not Path(self._source).exists():
            return "there is no such file."
        return (
            "no video that OpenCV can decode comes from it. (An MP4 that is piped in needs its "
            "index in front: ffmpeg -i INPUT -c copy -movflags +faststart OUTPUT.mp4)"
        )

    def _wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._pause)

    def _pass_on(self, capture: cv2.VideoCapture, info: VideoInfo) -> VideoInfo:
        """Hands over the frames of one connection; returns how many came, for how long."""
        before, start, number, seconds = self._last, 0.0, 0, 0.0
        for seconds in self._times(capture, 1 / info.fps):
            retrieved, image = capture.retrieve()
            if not retrieved:
                self.undecodable += 1
                break
            image, now = cv2.cvtColor(image, cv2.COLOR_BGR2RGB), time.perf_counter()
            if before and not number:
                start = before.seconds + now - before.arrived
            number += 1
            self._last = LiveFrame(start + seconds, now, image)
            if not self._hand_over(self._last):
                break
        return dataclasses.replace(info, num_frames=number, duration_seconds=seconds + 1 / info.fps)

    def _times(self, capture: cv2.VideoCapture, frame_seconds: float) -> Iterator[float]:
        """Grabs frame after frame; yields the time of each in its connection, in seconds."""
        times = increasing(_stamps(capture), frame_seconds=frame_seconds)
        if not self.is_live:
            return times
        return near_clock(times, time.perf_counter, most_seconds=_MOST_OFF_SECONDS)

    def _has_length(self) -> bool:
        from pipeline.video.address import has_length  # HTTP is not for those who read files.

        return has_length(self._source, timeout_seconds=_TIMEOUT_SECONDS)

    def _open(self) -> cv2.VideoCapture:
        timeout = round(1000 * _TIMEOUT_SECONDS)
        limits = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout),
        ]
        with quiet():
            if self._is_camera:
                return cv2.VideoCapture(int(self._source))
            address, options = self._address(), limits if self._is_remote else []
            return cv2.VideoCapture(address, cv2.CAP_FFMPEG, options)

    def _address(self) -> str:
        """The address that FFmpeg is to open."""
        if "://" in self._source:
            return self._source
        return "pipe:0" if self._source == "-" else str(Path(self._source).absolute())

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


def _stamps(capture: cv2.VideoCapture) -> Iterator[float]:
    """Grabs frame after frame; yields the time that the stream gives of each, in seconds."""
    while capture.isOpened() and capture.grab():
        yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
