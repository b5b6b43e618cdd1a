"""Frames and what changes from one to the next, stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.streams.difference import Difference
from pipeline.streams.frames import FRAMES
from pipeline.streams.rgb import Rgb
from pipeline.streams.stream import Stream

if TYPE_CHECKING:
    import tensorflow as tf


class RgbDifference(Stream):
    """The channels of `Rgb`, then those of `Difference`, for one backbone."""

    name = "rgb_difference"
    image = FRAMES
    channels = 6
    needs_frame_before = True

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """See `Stream`."""
        from keras import ops

        seen = [stream.see(pixels, gain) for stream in (Rgb(), Difference())]
        return ops.concatenate(seen, axis=-1)
