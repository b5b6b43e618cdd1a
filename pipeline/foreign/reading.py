"""How a network of others takes frames, and which of its features count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError

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
        grid: Cells a side that a map of features is averaged to, at most; 1 or more.

    Raises:
        ConfigError: A value is not one of these.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels = "auto"
    grid: int = 4

    def __post_init__(self) -> None:
        alike = len(self.mean) == len(self.std) and len(self.mean) in (0, 1, 3)
        if not alike or any(each <= 0 for each in self.std):
            raise ConfigError(
                "backbone.mean and backbone.std must both be one number, or one for red, green and "
                f"blue, and std above 0. Received: {list(self.mean)}, {list(self.std)}"
            )
        if self.grid < 1:
            raise ConfigError(f"backbone.grid must be at least 1. Received: {self.grid}")
