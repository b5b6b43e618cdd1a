"""The part of a recogniser that is one stream's, cut where attribution needs it."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.inference.clips import Images
from pipeline.streams import IMAGES, STREAMS

_STEPS = 16


def still_clip(clip: Images) -> Images:
    """As many frames as a clip has, in which nothing moves, see `Stored.stilled`."""
    return {name: IMAGES[name].stilled(images) for name, images in clip.items()}


def contributions(
    start: tf.Tensor, end: tf.Tensor, logit: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """What each number contributes to the change of a logit from `start` to `end`, of their shape.

    The mean gradient on the straight way, times the change of the number; all of them add up to
    the change of the logit.

    Source: Sundararajan, Taly and Yan (2017), equation 3.
    """
    change = end - start
    total = tf.zeros_like(change)
    for step in range(_STEPS):
        total += gradient(start + (step + 0.5) / _STEPS * change, logit)
    return total * change / _STEPS


def gradient(values: tf.Tensor, logit: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Gradient of a logit by the numbers that it is reckoned from."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = logit(values)
    return tape.gradient(found, values)


class StreamPart:
    """A stream: from a clip to what its backbone takes, and from features to logits.

    Args:
        model: The recogniser, which computes in float32.
        stream: The stream.
        config: The run.
    """

    def __init__(self, model: keras.Model, stream: str, config: RunConfig) -> None:
        self._image, self._length = STREAMS[stream].image.name, config.clip.num_frames
        self._model, self._stream = model, stream

    def pixels(self, clip: Images) -> tf.Tensor:
        """What the stream sees of each real frame of a clip, (N, H, W, C) or (N, F)."""
        stage = self._model.get_layer(f"{self._stream}_input")
        return stage(tf.constant(clip[self._image][None]))[0]

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """The logits, float32 (K, C), of the features of K clips, (K, N, F)."""
        number, missing = features.shape[1], self._length - features.shape[1]
        mask = np.tile(np.arange(self._length) < number, (features.shape[0], 1))
        rows = tf.pad(features, ((0, 0), (0, missing), (0, 0)))
        temporal = self._model.get_layer(f"{self._stream}_temporal")
        return temporal({"features": rows, "mask": tf.constant(mask)}, training=False)
