"""Layers on the frames of a clip in their order, which respect the mask."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf
from keras import ops

_LEAST_VARIANCE = 1e-10
"""Added, so that a standard deviation of 0 has a gradient."""
_register = keras.saving.register_keras_serializable(package="clipline")


class EndOfMask(keras.layers.Layer):
    """A layer that is given the mask and does not pass it on: the next one is given it as well."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *_: object) -> None:
        """No mask goes on by itself."""


@_register
class ZeroPadding(EndOfMask):
    """Sets what stands in the padding to 0, as a convolution over time expects.

    Call arguments:
        sequence: float (B, T, F).
        mask: bool (B, T), true for real frames.

    Returns:
        float (B, T, F).
    """

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return ops.where(ops.expand_dims(mask, -1), sequence, ops.zeros_like(sequence))


@_register
class ReverseFrames(EndOfMask):
    """Turns the order of the real frames around; the padding stays at the end.

    Call arguments:
        sequence: float (B, T, F).
        mask: bool (B, T), true for real frames, right-padded.

    Returns:
        float (B, T, F).
    """

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        return tf.reverse_sequence(sequence, lengths, seq_axis=1)


class Pooling(EndOfMask):
    """From a sequence, float (B, T, F), and its mask, bool (B, T), to one vector, float (B, F)."""

    def compute_output_shape(
        self, sequence_shape: tuple[int | None, ...], *_: object
    ) -> tuple[int | None, ...]:
        """(B, T, F) -> (B, F), without tracing the layer for it."""
        return (sequence_shape[0], sequence_shape[-1])


@_register
class TemporalPooling(Pooling):
    """The mean or the maximum of a sequence over its real frames, or the last one of these.

    Call arguments:
        sequence: float (B, T, F).
        mask: bool (B, T), true for real frames, at least one in each row.

    Returns:
        float (B, F).
    """

    def __init__(self, kind: Literal["last", "mean", "max"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if self.kind == "last":
            number = ops.sum(ops.cast(mask, "int32"), axis=1) - 1
            chosen = ops.one_hot(number, sequence.shape[1], dtype=sequence.dtype)
            return ops.sum(sequence * chosen[:, :, None], axis=1)
        real = ops.expand_dims(mask, -1)
        if self.kind == "max":
            return ops.max(ops.where(real, sequence, _lowest(sequence)), axis=1)
        total = ops.sum(ops.where(real, sequence, ops.zeros_like(sequence)), axis=1)
        return total / ops.sum(ops.cast(real, sequence.dtype), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "kind": self.kind}


@_register
class FrameStatistics(EndOfMask):
    """What the frames of a clip are like, and how they change, in four numbers of each feature.

    Over the real frames: the mean; the standard deviation; the mean absolute difference from one to
    the next; and the mean of the second half less that of the first, of an odd number without the
    middle one. Of a single frame, all but the mean are 0.

    Call arguments:
        sequence: float (B, T, F).
        mask: bool (B, T), true for real frames, right-padded, at least one in each row.

    Returns:
        float (B, 4 F).
    """

    def compute_output_shape(self, sequence_shape: tuple[int, ...], *_: object) -> tuple[int, ...]:
        """(B, T, F) -> (B, 4 F), without tracing the layer for it."""
        return (sequence_shape[0], 4 * sequence_shape[-1])

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        real = ops.cast(mask, sequence.dtype)
        number = ops.sum(real, axis=1, keepdims=True)
        half = ops.floor(number / 2)
        position = ops.arange(sequence.shape[1], dtype=sequence.dtype)[None]
        early = ops.cast(position < half, sequence.dtype)
        late = ops.cast(position >= number - half, sequence.dtype) * real
        mean = _mean(sequence, real)
        variance = _mean(ops.square(sequence - mean[:, None]), real)
        steps = ops.abs(sequence[:, 1:] - sequence[:, :-1])
        parts = [
            mean,
            ops.sqrt(variance + _LEAST_VARIANCE) - _LEAST_VARIANCE**0.5,
            _mean(steps, real[:, 1:]),
            _mean(sequence, late) - _mean(sequence, early),
        ]
        return ops.concatenate(parts, axis=-1)


@_register
class AttentionPooling(Pooling):
    """The mean of a sequence over its real frames, weighted by what the frames hold.

    The weight of a frame is the softmax over time of v . tanh(W x + b).

    Source: additive attention, Bahdanau et al. (2015), without a query.

    Args:
        units: Length of b and v.

    Call arguments:
        sequence: float (B, T, F).
        mask: bool (B, T), true for real frames, at least one in each row.

    Returns:
        float (B, F).
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="tanh", name="hidden")
        self.score = keras.layers.Dense(1, use_bias=False, name="score")

    def build(self, sequence_shape: tuple[int | None, ...], *_: object) -> None:
        """Makes the weights."""
        self.hidden.build(sequence_shape)
        self.score.build((*sequence_shape[:-1], self.units))

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        scores = self.score(self.hidden(sequence))
        real = ops.expand_dims(mask, -1)
        weights = ops.softmax(ops.where(real, scores, _lowest(scores)), axis=1)
        return ops.sum(ops.where(real, sequence * weights, ops.zeros_like(sequence)), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "units": self.units}


def _mean(sequence: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """The mean, float (B, F), of the chosen frames, 1 in float (B, T); 0 where there are none."""
    total = ops.sum(ops.where(chosen[..., None] > 0, sequence, ops.zeros_like(sequence)), axis=1)
    return total / ops.maximum(ops.sum(chosen, axis=1, keepdims=True), 1)


def _lowest(values: tf.Tensor) -> float:
    return float(tf.as_dtype(values.dtype).min)
