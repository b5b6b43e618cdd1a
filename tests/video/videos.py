"""Videos that tests write, and files that are opened with a fault."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.video import VideoInfo, write_video


def noise(num_frames: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames of which none can be had from another one, uint8 (num_frames, height, width, 3)."""
    rng = np.random.default_rng(0)
    return rng.integers(256, size=(num_frames, height, width, 3), dtype=np.uint8)


def lossless(path: Path, frames: Iterable[np.ndarray], fps: float = 10) -> Path:
    """Writes a video whose frames come back as they are, and returns the file."""
    write_video(path, frames, fps=fps, codec="FFV1")
    return path


def known(declared: int | None, num_frames: int | None = None, **others: object) -> VideoInfo:
    """What is known of a video, of 10 frames a second unless said otherwise."""
    about = {"path": "a.mp4", "width": 64, "height": 48, "fps": 10.0, "codec": "FFV1"} | others
    return VideoInfo(
        **{"duration_seconds": (num_frames or declared or 0) / about["fps"], **about},
        declared_frames=declared,
        num_frames=num_frames,
    )


def cut(path: Path, num_bytes: int | None = None) -> Path:
    """Cuts a file off, at its half unless said otherwise."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 if num_bytes is None else num_bytes])
    return path


class SpoiltFrame:
    """An open file of which the frame of one index is grabbed, but not retrieved.

    Some may be grabbed already; `grabs` says how many are.
    """

    def __init__(self, capture: object, index: int, grabbed: int = 1) -> None:
        self._capture, self._left, self.grabs = capture, index + 2 - grabbed, grabbed

    def grab(self) -> bool:
        self._left -= 1
        self.grabs += 1
        return self._capture.grab()

    def retrieve(self, image: np.ndarray | None = None) -> tuple[bool, np.ndarray | None]:
        return (False, image) if self._left == 1 else self._capture.retrieve(image)

    def __getattr__(self, name: str) -> object:
        return getattr(self._capture, name)
