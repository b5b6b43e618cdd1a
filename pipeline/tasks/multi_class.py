"""Classes that exclude each other: which one of them a video shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


class MultiClass:
    """Softmax, cross-entropy, and the class of the highest logit as the answer.

    Attributes:
        metric_title: What the metric `accuracy` says, in words.
    """

    metric_title: Final = "accuracy"

    @property
    def each(self) -> MultiClass:
        """What is asked of one row of logits, (C,): the same."""
        return self

    def targets(self, labels: tf.Tensor, num_classes: int, smoothing: float = 0.0) -> tf.Tensor:
        """Targets float32 (B, C), each of which adds up to 1.

        Args:
            labels: int (B,), from 0 to C - 1.
            num_classes: C.
            smoothing: Share that all classes get alike, from 0 to below 1.

        Source: label smoothing, Szegedy et al. (2016).
        """
        import tensorflow as tf

        low = smoothing / num_classes
        return tf.one_hot(labels, num_classes, low + 1 - smoothing, low)

    def loss(self, transition_penalty: float = 0.0) -> keras.losses.Loss:
        """From targets and logits, (B, C), to a number for each clip; it has no transitions."""
        del transition_penalty
        import keras

        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics shown of each epoch besides the loss; the first is called `accuracy`."""
        import keras

        return [keras.metrics.CategoricalAccuracy("accuracy")]

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> npt.NDArray[np.float64]:
        """Probabilities, float64 (..., C), which sum to 1.

        Args:
            logits: float (..., C), averaged over views.
            temperature: What they are divided by.

        Example:
            >>> MultiClass().probabilities(np.array([2.0, 0.0]), temperature=2.0).round(2)
            array([0.73, 0.27])
        """
        scaled = np.asarray(logits, np.float64) / temperature
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
        return shares

    def mean_of_probabilities(self, logits: Floats) -> npt.NDArray[np.float64]:
        """Logits (..., C) whose probabilities are a mean, of logits (M, ..., C)."""
        highest = logits.max(axis=-1, keepdims=True)
        total = highest + np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))
        mean = np.exp(logits - total).mean(axis=0)
        # What probabilities do not show is how high the logits were.
        return np.asarray(np.log(np.maximum(mean, 1e-300)) + total.mean(axis=0))

    def log_likelihood(self, logits: Floats, labels: Labels) -> npt.NDArray[np.float64]:
        """The logarithm of the probability of each label, (N,), of logits (N, C), float64 (N,)."""
        shares = self.probabilities(logits)[np.arange(len(labels)), labels]
        return np.asarray(np.log(np.maximum(shares, 1e-300)))

    def answers(self, logits: Floats) -> npt.NDArray[np.int64]:
        """The number of the class that each video shows, int64 (...), of logits (..., C)."""
        return np.asarray(np.argmax(logits, axis=-1), np.int64)

    def holds(self, probabilities: Floats, thresholds: Floats | float) -> npt.NDArray[np.bool_]:
        """Which class is the answer, bool (..., C), of probabilities (..., C): the highest."""
        del thresholds
        best = np.argmax(probabilities, axis=-1)
        return np.asarray(best[..., None] == np.arange(probabilities.shape[-1]))

    def is_right(self, logits: Floats, labels: Labels) -> npt.NDArray[np.bool_]:
        """Whether the answers are the labels, int (...); bool (...)."""
        return np.asarray(self.answers(logits) == labels)

    def score(self, logits: Floats) -> npt.NDArray[np.float64]:
        """The maximum logit: how sure it is that a video shows any of the classes.

        A probability says which of the classes it is, if it is one of them. Of what is none of
        them, all logits are low, which the probabilities, as their differences, do not show.

        Args:
            logits: float (..., C), averaged over views, before any temperature.

        Returns:
            float64 (...).

        Source: the maximum logit score, Hendrycks et al. (2022).
        """
        return np.asarray(logits, np.float64).max(axis=-1)

    def fit_temperature(self, logits: Floats, labels: Labels) -> float:
        """The temperature under which the labels are most likely.

        The targets are those of Platt: with N videos, the label of each gets (N + 1) / (N + 2) of
        it and the other classes share the rest, so that a few videos that are all answered rightly
        do not make the model out to be never wrong.

        Args:
            logits: float (N, C), of videos that took no part in training.
            labels: int (N,), from 0 to C - 1.

        Returns:
            The temperature, 0.05 to 20.

        Source: temperature scaling, Guo et al. (2017); the targets, Platt (1999), section 2.
        """
        from scipy.optimize import minimize_scalar  # takes a while

        num_videos, num_classes = logits.shape
        if num_classes == 1:
            return 1.0
        rest = 1 / (num_videos + 2)
        targets = np.full(logits.shape, rest / (num_classes - 1))
        targets[np.arange(num_videos), labels] = 1 - rest

        def loss(log_temperature: float) -> float:
            shares = self.probabilities(logits, float(np.exp(log_temperature)))
            return float(-np.mean(np.sum(targets * np.log(np.maximum(shares, 1e-300)), axis=1)))

        best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
        return float(np.exp(best.x))
