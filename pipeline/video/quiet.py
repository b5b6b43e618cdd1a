"""Keeps the log lines of FFmpeg and OpenCV off stderr: what matters in them becomes an error."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# FFmpeg is told once, by OpenCV, when a process opens its first video; -8 is its level "quiet".
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_lock = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silences OpenCV's own log for a while, unless the user has set OPENCV_LOG_LEVEL."""
    if "OPENCV_LOG_LEVEL" in os.environ:
        yield
        return
    with _lock:
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)
