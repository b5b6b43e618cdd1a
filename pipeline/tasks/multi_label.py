"""Classes that may hold at once: which of them a video shows, from none to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


class MultiLabel:
    """A sigmoid for each class, binary cross-entropy, and each class that is probable enough.

    Attributes:
        metric_title: What the metric `accuracy` says, in words: the share of classes, of all videos
            together, that are answered rightly.
    """

    metric_title: Final = "classes right"

    @property
    def each(self) -> MultiLabel:
        """What is asked of one row of logits, (C,): the same."""
        return self

    def targets(self, labels: tf.Tensor, num_classes: int, smoothing: float = 0.0) -> tf.Tensor:
        """Targets float32 (..., C), each from 0 to 1.

        Args:
            labels: 0 or 1, int (..., C).
            num_classes: C.
            smoothing: Share that is taken off towards one half, from 0 to below 1.
        """
        import tensorflow as tf

        del num_classes
        return tf.cast(labels, tf.float32) * (1 - smoothing) + smoothing / 2

    def loss(self, transition_penalty: float = 0.0) -> keras.losses.Loss:
        """From targets and logits, (B, C), to a number for each clip; it has no transitions."""
        del transition_penalty
        import keras

        return keras.losses.BinaryCrossentropy(from_logits=True)

    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics shown of each epoch besides the loss; the first is called `accuracy`."""
        import keras

        return [keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)]  # of logits

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> npt.NDArray[np.float64]:
        """The probability of each class, float64 (..., C), whatever the others are.

        Args:
            logits: float (..., C), averaged over views.
            temperature: What they are divided by.

        Example:
            >>> MultiLabel().probabilities(np.array([2.0, 0.0]), temperature=2.0).round(2)
            array([0.73, 0.5 ])
        """
        scaled = np.asarray(logits, np.float64) / temperature
        shares: npt.NDArray[np.float64] = np.exp(-np.logaddexp(0, -scaled))
        return shares

    def mean_of_probabilities(self, logits: Floats) -> npt.NDArray[np.float64]:
        """Logits (..., C) whose probabilities are a mean, of logits (M, ..., C)."""
        holds, not_ = (self.probabilities(sign * logits).mean(axis=0) for sign in (1, -1))
        return np.asarray(np.log(np.maximum(holds, 1e-300)) - np.log(np.maximum(not_, 1e-300)))

    def log_likelihood(self, logits: Floats, labels: Labels) -> npt.NDArray[np.float64]:
        """The logarithm of the probability of labels, 0 or 1, (N, C); float64 (N,)."""
        signed = np.where(labels > 0, -1.0, 1.0) * logits
        return np.asarray(-np.logaddexp(0, signed).sum(axis=-1))

    def holds(self, probabilities: Floats, thresholds: Floats | float) -> npt.NDArray[np.bool_]:
        """Which classes are answered, bool (..., C): those with a probability of their threshold.

        Args:
            probabilities: float (..., C).
            thresholds: float (C,), or one for all, 0 to 1.
        """
        return np.asarray(probabilities >= thresholds)

    def is_right(self, logits: Floats, labels: Labels) -> npt.NDArray[np.bool_]:
        """Whether all classes are answered as the labels, int (..., C), say; bool (...)."""
        return np.asarray(((np.asarray(logits) > 0) == (labels > 0)).all(axis=-1))

    def score(self, logits: Floats) -> npt.NDArray[np.float64]:
        """The highest logit, float64 (...), of logits (..., C)."""
        return np.asarray(logits, np.float64).max(axis=-1)

    def fit_temperature(self, logits: Floats, labels: Labels) -> float:
        """The temperature under which the labels are most likely.

        Args:
            logits: float (N, C), of what took no part in training.
            labels: 0 or 1, int (N, C).

        Returns:
            The temperature, 0.05 to 20.

        Source: temperature scaling, Guo et al. (2017), for each class by itself.
        """
        from scipy.optimize import minimize_scalar  # takes a while

        signed = np.where(labels > 0, -1.0, 1.0) * np.asarray(logits, np.float64)

        def loss(log_temperature: float) -> float:
            return float(np.logaddexp(0, signed / np.exp(log_temperature)).mean())

        best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
        return float(np.exp(best.x))
