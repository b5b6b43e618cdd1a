"""Differences from frame to frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.streams.frames import FRAMES
from pipeline.streams.stream import Stream

if TYPE_CHECKING:
    import tensorflow as tf


class Difference(Stream):
    """Each frame less the one before it, scaled to [-gain, gain]; 0 for the first frame."""

    name = "difference"
    image = FRAMES
    needs_frame_before = True
    is_motion = True

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """See `Stream`."""
        from keras import ops

        steps = (pixels[:, 1:] - pixels[:, :-1]) * (gain / 255)
        return ops.concatenate([ops.zeros_like(pixels[:, :1]), steps], axis=1)
