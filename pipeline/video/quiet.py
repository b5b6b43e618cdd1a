"""Keeps the log lines of FFmpeg and OpenCV off stderr: what matters in them becomes an error."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# FFmpeg is told once, by OpenCV, when a process opens its first video; -8 is its level "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_logging = cv2.utils.logging


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
