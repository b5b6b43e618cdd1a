"""Heat by hiding: how much of a logit is lost without each place of a frame."""

from __future__ import annotations

from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.external import FrameNetwork
from pipeline.inference.clips import Images
from pipeline.inference.stream_parts import StreamPart, still_clip
from pipeline.progress import progress

GRID: Final = 6
"""Cells in a row of a frame, and rows of them."""


class HidingStream(StreamPart):
    """A stream of pictures of which features are known, and no map of them.

    Args:
        model: The recogniser, which computes in float32.
        stream: The stream.
        config: The run.
        network: Where the features are those of an external backbone: it.
    """

    def __init__(
        self,
        model: keras.Model,
        stream: str,
        config: RunConfig,
        network: FrameNetwork | None = None,
    ) -> None:
        super().__init__(model, stream, config)
        self._network = network

    def pixels(self, clip: Images) -> tf.Tensor:
        """See `StreamPart`; an external backbone sees frames as they are."""
        return tf.constant(clip[self._image]) if self._network else super().pixels(clip)

    def heat(self, clip: Images, label: int) -> npt.NDArray[np.float32]:
        """By how much the logit of a class falls when a cell of a frame shows the still clip.

        Each cell of each frame is hidden once, alone. It takes the features of GRID * GRID * N
        frames: with a network that takes 15 ms a frame, 9 s for a clip of 16 frames.

        Returns:
            float32 (N, GRID, GRID), below 0 where the logit rises.

        Source: occlusion, Zeiler and Fergus (2014), section 4.2; the still clip in place of grey
        keeps what it shows like what the network has seen.
        """
        pixels, still = self.pixels(clip), self.pixels(still_clip(clip))
        cells = _cells(*pixels.shape[1:3])
        rows = self._features(pixels)
        whole = self.logits(rows[None])[0, label]
        heat = []
        with progress("hiding parts of the frames", "frame", total=len(rows)) as advance:
            for number in range(len(rows)):
                hidden = tf.where(cells[..., None], still[number], pixels[number])
                places = tf.fill((len(cells), 1), number)
                clips = tf.tile(rows[None], (len(cells), 1, 1))
                index = tf.concat([tf.range(len(cells))[:, None], places], axis=1)
                clips = tf.tensor_scatter_nd_update(clips, index, self._features(hidden))
                heat.append(whole - self.logits(clips)[:, label])
                advance(1)
        return np.reshape(heat, (-1, GRID, GRID)).astype(np.float32)

    def _features(self, pixels: tf.Tensor) -> tf.Tensor:
        """The features of frames, (N, F)."""
        if self._network:
            return tf.constant(self._network(pixels.numpy()))
        backbone = self._model.get_layer(f"{self._stream}_features").layer
        return backbone(pixels, training=False)


def _cells(height: int, width: int) -> npt.NDArray[np.bool_]:
    """Each cell of a frame, bool (GRID * GRID, H, W), row by row."""
    down, across = (np.arange(size) * GRID // size for size in (height, width))
    numbers = down[:, None] * GRID + across
    return np.arange(GRID * GRID)[:, None, None] == numbers
