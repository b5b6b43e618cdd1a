"""The temporal part of a network one frame at a time, with the same work for each frame.

After t frames the logits are those of a clip of these t frames; where there is an answer at every
frame, those of the last of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import layers, ops

from pipeline.config import RunConfig
from pipeline.models.sequence import Stepping


class Stepwise:
    """The temporal part of a recogniser, frame by frame.

    Args:
        recognizer: The network, built for export.
        config: Its run, whose temporal part looks back only.

    Attributes:
        state_size: Length (S) of the state, which is 0 before the first frame.
    """

    def __init__(self, recognizer: keras.Model, config: RunConfig) -> None:
        self._streams = {
            f"{stream}_features": _Stream(recognizer.get_layer(f"{stream}_temporal"))
            for stream in config.model.streams
        }
        self._sizes = [1, *(stream.state_size for stream in self._streams.values())]
        self.state_size = sum(self._sizes)

    def __call__(
        self, features: Mapping[str, tf.Tensor], state: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes one frame in.

        Args:
            features: Of the frame, `STREAM_features` float (B, F).
            state: float (B, S), what is known of the frames before it.

        Returns:
            The logits float (B, C) of all frames so far, and the new state.
        """
        count, *parts = _split(state, self._sizes)
        logits: list[tf.Tensor] = []
        after = [count + 1]
        for (name, stream), part in zip(self._streams.items(), parts, strict=True):
            of_stream, part = stream(features[name], part, count)
            logits.append(of_stream)
            after.append(part)
        return sum(logits) / len(logits), ops.concatenate(after, axis=1)


class _Stream:
    """The temporal part of one stream: layers one after the other."""

    def __init__(self, part: keras.Model) -> None:
        self._layers = [each for each in part.layers if not isinstance(each, layers.InputLayer)]
        self._sizes = [
            each.state_size(each.output.shape[-1])
            for each in self._layers
            if isinstance(each, Stepping)
        ]
        self.state_size = sum(self._sizes)

    def __call__(
        self, features: tf.Tensor, state: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        before = iter(_split(state, self._sizes))
        after: list[tf.Tensor] = []
        outputs = features
        for layer in self._layers:
            if isinstance(layer, Stepping):
                outputs, kept = layer.step(outputs, next(before), count)
                after.append(kept)
            else:
                outputs = _at_a_frame(layer, outputs)
        return outputs, ops.concatenate(after, axis=1)


def _at_a_frame(layer: keras.Layer, frames: tf.Tensor) -> tf.Tensor:
    """A layer on each frame of a clip by itself, on frames, (B, F).

    By shapes alone, as whole clips go, so that a converter merges a normalisation into the weights
    here as there and keeps one copy of these.
    """
    if len(layer.output.shape) == 2:
        return layer(frames)
    clips = layer(ops.reshape(frames, (-1, 1, frames.shape[-1])))
    return ops.reshape(clips, (-1, clips.shape[-1]))


def _split(state: tf.Tensor, sizes: list[int]) -> list[tf.Tensor]:
    ends = list(itertools.accumulate(sizes))
    return [state[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]
