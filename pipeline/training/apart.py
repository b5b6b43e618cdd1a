"""Streams that are trained apart: each has a loss of its own, and they are judged together.

Source: late fusion of separately trained streams, Simonyan and Zisserman (2014).
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops


class LossOfEach(keras.losses.Loss):
    """The mean of a loss over streams.

    Args:
        loss: Of one of them.

    Call arguments:
        y_true: As for `loss`.
        y_pred: Logits of S streams, float (B, S, ...), each as for `loss`.
    """

    def __init__(self, loss: keras.losses.Loss, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss = loss

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """See the class."""
        each = [self.loss.call(y_true, y_pred[:, stream]) for stream in range(y_pred.shape[1])]
        return ops.mean(ops.stack(each), axis=0)


class MetricOfMean(keras.metrics.Metric):
    """A metric of the average of the logits of streams, float (B, S, ...)."""

    def __init__(self, metric: keras.metrics.Metric) -> None:
        super().__init__(name=metric.name)
        self.metric = metric

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Takes in a batch."""
        self.metric.update_state(y_true, ops.mean(y_pred, axis=1), sample_weight=sample_weight)

    def result(self) -> tf.Tensor:
        """Its value so far."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forgets all batches."""
        self.metric.reset_state()
