"""Frames as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.streams.frames import FRAMES
from pipeline.streams.stream import Stream

if TYPE_CHECKING:
    import tensorflow as tf


class Rgb(Stream):
    """Each frame, scaled to [-1, 1]."""

    name = "rgb"
    image = FRAMES

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:  # noqa: ARG002
        """See `Stream`."""
        return (pixels - 127.5) / 127.5
