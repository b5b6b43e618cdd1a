"""How a network of others takes frames, and which of its features count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Channels = Literal["auto", "rgb", "bgr"]

SUFFIXES = (".tflite", ".onnx")
"""Of the files that hold such networks."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a network takes frames, and which of its features count.

    Attributes:
        mean: Taken off pixels, 0 to 255, of all channels or of red, green and blue; empty: what
            the file says.
        std: What the rest is divided by, likewise.
        channels: Their order; `auto`: what the file says, else `rgb`.
        grid: Cells a side that a map of features is averaged to, at most.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels = "auto"
    grid: int = 4
