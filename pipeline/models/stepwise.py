"""The temporal part of a network one frame at a time, with the same work for each frame.

After t frames the logits are those of a clip of these t frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops

from pipeline.config import RunConfig
from pipeline.models.recurrent import Unrolled


def is_stepwise(config: RunConfig) -> bool:
    """Whether what the temporal part says of a frame depends on this and those before alone."""
    return config.temporal.kind in ("lstm", "gru", "mean")


class Stepwise:
    """The temporal part of a recogniser, frame by frame.

    Args:
        recognizer: The network, built for export.
        config: Its run, for which `is_stepwise` holds.

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
    """The temporal part of one stream."""

    def __init__(self, part: keras.Model) -> None:
        layers = {layer.name: layer for layer in part.layers}
        self._normalise = layers.get("normalise")
        self._recurrent = [layer for layer in part.layers if isinstance(layer, Unrolled)]
        self._head = layers["head"]
        width = self._recurrent[-1].units if self._recurrent else part.input["features"].shape[-1]
        self._pooling = layers.get("temporal_pooling")
        self._sizes = [
            *(layer.units for layer in self._recurrent for _ in range(layer.num_states)),
            self._pooling.state_size(width) if self._pooling else 0,
        ]
        self.state_size = sum(self._sizes)

    def __call__(
        self, features: tf.Tensor, state: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = features
        if self._normalise:
            # By shapes alone, as whole clips go, so that a converter merges the normalisation into
            # the weights here as there and keeps one copy of these.
            width = features.shape[-1]
            clips = self._normalise(ops.reshape(features, (-1, 1, width)))
            outputs = ops.reshape(clips, (-1, width))
        *states, pooled = _split(state, self._sizes)
        before = iter(states)
        after: list[tf.Tensor] = []
        for layer in self._recurrent:
            its_own = tuple(itertools.islice(before, layer.num_states))
            its_own = layer.step(layer.project(outputs), its_own)
            after += its_own
            outputs = its_own[0]
        if self._pooling:
            outputs, pooled = self._pooling.step(outputs, pooled, count)
        return self._head(outputs), ops.concatenate([*after, pooled], axis=1)


def _split(state: tf.Tensor, sizes: list[int]) -> list[tf.Tensor]:
    ends = list(itertools.accumulate(sizes))
    return [state[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]
