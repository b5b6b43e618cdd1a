"""What recordings look like and how they move, in a few numbers, which no network is needed for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.user_cache import user_cache
from pipeline.video.paths import file_mark
from pipeline.video.reader import VideoReader

Floats = npt.NDArray[np.floating]

FPS: Final = 10
"""Descriptors a second."""

SIZE: Final = 3 * 4 * 8 * 3
"""Numbers of a descriptor."""

_CELLS: Final = (3, 4)
_DIRECTIONS: Final = 8
_FRAME: Final = (72, 96)
_FAINT: Final = 1e-3, 1e3
"""Sums of gradients, of a frame and of a difference, of which half counts as noise."""

_CACHE: Final = "descriptors-1"
"""With the version of what `describe` gives."""


def describe(path: str | Path) -> Iterator[Floats]:
    """Describes a recording at every tenth of a second.

    A descriptor holds histograms over 8 directions in a grid of 3 x 4 cells: of the gradients of
    the frame, of the optical flow to it, and of the gradients of its difference to the frame
    before, the outline of what moves. Each is the square root of a share, the flow that of pixels
    a step.

    Source: histograms of gradients (Dalal and Triggs, 2005), of flow and of motion boundaries
    (Dalal, Triggs and Schmid, 2006); roots of shares (Arandjelovic and Zisserman, 2012).

    Yields:
        float16 (288,), see `FPS`.

    Raises:
        VideoDecodeError: The file cannot be read.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    before = None
    with VideoReader(path) as reader:
        for frame in reader.frames(fps=FPS, size=_FRAME):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            before = grey if before is None else before
            yield _descriptor(grey, before, flow.calc(before, grey, None)).astype(np.float16)
            before = grey


def kept_descriptors(path: Path) -> Floats | None:
    """Descriptors of a recording that were kept in the user's cache, float16 (N, 288)."""
    try:
        found: Floats = np.load(_file(path), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 and found.shape[1] == SIZE and len(found) else None


def keep_descriptors(path: Path, descriptors: Floats) -> None:
    """Keeps them there.

    Raises:
        OSError: The disk is full, or nothing may be written.
    """
    file = _file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as opened:
        np.save(opened, descriptors)


def _file(path: Path) -> Path:
    return user_cache(_CACHE) / f"{file_mark(path)}.npy"


def _descriptor(grey: np.ndarray, before: np.ndarray, flow: np.ndarray) -> Floats:
    difference = cv2.absdiff(grey, before)
    of_flow = _histogram(*cv2.cartToPolar(flow[..., 0], flow[..., 1]))
    area = grey.size / len(of_flow) * _DIRECTIONS
    parts = (
        _outlines(grey, _FAINT[0]),
        np.sqrt(of_flow / area),
        _outlines(difference, _FAINT[1]),
    )
    return np.concatenate(parts)


def _outlines(image: np.ndarray, faint: float) -> Floats:
    """Directions of gradients, whichever side is the brighter one."""
    gradients = (cv2.Sobel(image, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(*gradients)
    found = _histogram(strength, angle % np.pi * 2)
    return np.sqrt(found / (found.sum() + faint))


def _histogram(strength: np.ndarray, angle: np.ndarray) -> Floats:
    """Sums of strength by cell and direction; angles are from 0 to two pi."""
    height, width = strength.shape
    direction = np.minimum((angle * (_DIRECTIONS / (2 * np.pi))).astype(int), _DIRECTIONS - 1)
    rows = np.arange(height) * _CELLS[0] // height
    columns = np.arange(width) * _CELLS[1] // width
    place = (rows[:, None] * _CELLS[1] + columns) * _DIRECTIONS + direction
    size = _CELLS[0] * _CELLS[1] * _DIRECTIONS
    return np.bincount(place.ravel(), strength.ravel(), size).astype(np.float32)
