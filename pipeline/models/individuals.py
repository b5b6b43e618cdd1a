"""The individuals of a clip of key points, in an order of their own."""

from __future__ import annotations

from typing import Any, Final

import keras
import tensorflow as tf
from keras import ops

from pipeline.models.sequence import EndOfMask
from pipeline.streams.pose import PLACE

_RARE: Final = 0.5
"""Of the frames that have who is there most."""
_FAR: Final = 1000.0
"""Heights of the frame, further than anyone is from its centre."""


@keras.saving.register_keras_serializable(package="clipline")
class Individuals(EndOfMask):
    """What is seen of each individual, without places, and where others are, seen from the first.

    Sorted, they are in order from the left to the right of the clip; those who are there in less
    than half as many frames as another, such as passers-by, come after all others. So who acts is
    in the same place in each clip, whoever was found first.

    Args:
        number: Of them (P), at least 1.
        is_sorted: Whether they are sorted, which takes the whole clip; else they stay as they are.

    Call arguments:
        features: float (B, T, P K), see `pipeline.streams.pose.Pose`.
        mask: bool (B, T), true for real frames; of what is not sorted, none is needed.

    Returns:
        float (B, T, P (K - 3) + 2 (P - 1)).
    """

    def __init__(self, number: int, *, is_sorted: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._number, self._is_sorted = number, is_sorted

    def get_config(self) -> dict[str, Any]:
        """See Keras."""
        own = {"number": self._number, "is_sorted": self._is_sorted}
        return {**super().get_config(), **own}

    def compute_output_shape(self, shape: tuple[int, ...], *_: object) -> tuple[int, ...]:
        """(B, T, P K) -> (B, T, P (K - 3) + 2 (P - 1)), without tracing the layer for it."""
        number = self._number
        return (*shape[:-1], shape[-1] - PLACE * number + 2 * (number - 1))

    def call(self, features: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """See the class."""
        length, width = features.shape[1], features.shape[-1] // self._number
        each = ops.reshape(features, (-1, length, self._number, width))
        if self._is_sorted and self._number > 1:
            each = ops.matmul(_permutation(each, mask)[:, None], each)
        seen, there = each[..., :-PLACE], each[..., -PLACE - 1 : -PLACE]
        middle, size = each[..., -PLACE:-1], each[..., -1:]
        parts = [ops.reshape(seen, (-1, length, self._number * (width - PLACE)))]
        if self._number > 1:
            others = (middle[:, :, 1:] - middle[:, :, :1]) / ops.maximum(size[:, :, :1], 1e-6)
            others *= there[:, :, 1:] * there[:, :, :1]
            parts.append(ops.reshape(others, (-1, length, 2 * (self._number - 1))))
        return ops.concatenate(parts, axis=-1)


def _permutation(each: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Which of the individuals, (B, T, P, K), comes at which place: 1 or 0, (B, P, P)."""
    there = each[..., -PLACE - 1] * ops.cast(mask, each.dtype)[..., None]
    frames = ops.sum(there, axis=1)
    left = ops.sum(there * each[..., -PLACE], axis=1) / ops.maximum(frames, 1)
    rare = ops.cast(frames < _RARE * ops.max(frames, axis=1, keepdims=True), each.dtype)
    # Those who are equal stay as they are.
    key = left + _FAR * rare + 1e-3 * ops.arange(each.shape[2], dtype=each.dtype)
    rank = ops.sum(ops.cast(key[:, None] < key[:, :, None], each.dtype), axis=-1)
    places = ops.arange(each.shape[2], dtype=each.dtype)
    return ops.cast(ops.equal(rank[:, None], places[None, :, None]), each.dtype)
