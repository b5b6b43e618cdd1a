"""The loss and the accuracy of answers at every frame, of which some are not known."""

from __future__ import annotations

from typing import Any, Final

import keras
import tensorflow as tf
from keras import ops

_MOST_CHANGE: Final = 4.0
"""Of a log probability from frame to frame; what changes more costs no more."""


class FrameLoss(keras.losses.Loss):
    """Cross-entropy of the frames that are known, and a penalty on flicker.

    Args:
        exclusive: Whether classes exclude each other.
        transition_penalty: Weight of the truncated mean squared error of log probabilities from
            frame to frame.

    Call arguments:
        y_true: float32 (B, T, C), from 0 to 1; below 0 where nothing is known, which is of all
            classes of a frame where they exclude each other.
        y_pred: Logits, float (B, T, C), or those of S stages, float (B, S, T, C), which count
            alike.

    Returns:
        float (B,): of each clip, so that their mean is that over what is known, the cross-entropy
        of a frame, which is summed over classes that do not exclude each other; and the penalty.

    Source: the penalty with its limit, Farha and Gall (2019), equations 8 and 9.
    """

    def __init__(self, *, exclusive: bool, transition_penalty: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.exclusive, self.transition_penalty = exclusive, transition_penalty

    def __call__(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The mean of `call`; the targets alone say what is known, no mask that logits carry."""
        return super().__call__(y_true, tf.identity(y_pred), sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """See the class."""
        stages = y_pred if len(y_pred.shape) == 4 else y_pred[:, None]
        known = ops.cast(y_true[:, None] >= 0, stages.dtype)
        targets = ops.maximum(y_true, 0)[:, None]
        # Each class has a share of what is known; together they are the cross-entropy of a frame.
        if self.exclusive:
            log_shares = ops.log_softmax(stages)
            entropy = -targets * log_shares
        else:
            log_shares = ops.log_sigmoid(stages)
            entropy = -targets * log_shares - (1 - targets) * (log_shares - stages)
        loss = stages.shape[-1] * _mean(entropy, known)
        if self.transition_penalty:
            before = ops.stop_gradient(log_shares[:, :, :-1])
            change = ops.minimum(ops.abs(log_shares[:, :, 1:] - before), _MOST_CHANGE)
            both = known[:, :, 1:] * known[:, :, :-1]
            loss += self.transition_penalty * _mean(ops.square(change), both)
        return loss

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the loss again."""
        penalty = {"transition_penalty": self.transition_penalty}
        return {**super().get_config(), "exclusive": self.exclusive, **penalty}


def _mean(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Of values (B, S, T, C), (B,), whose mean is that of what is known, (B, 1, T, C)."""
    clips, stages = (ops.cast(ops.shape(values)[axis], known.dtype) for axis in (0, 1))
    total = ops.maximum(ops.sum(known) * stages, 1)
    return ops.sum(values * known, axis=(1, 2, 3)) * (clips / total)


class FrameAccuracy(keras.metrics.Mean):
    """The share of known frames that are answered rightly by the last stage, see `FrameLoss`.

    Where classes do not exclude each other, of all answers that are known, a class each.
    """

    def __init__(self, *, exclusive: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.exclusive = exclusive

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Counts the frames of a batch."""
        del sample_weight
        logits = y_pred[:, -1] if len(y_pred.shape) == 4 else y_pred
        known = ops.cast(y_true >= 0, "float32")
        if self.exclusive:
            known, right = known[..., 0], ops.argmax(y_true, -1) == ops.argmax(logits, -1)
        else:
            right = (y_true > 0.5) == (logits > 0)
        super().update_state(ops.cast(right, "float32"), sample_weight=known)
