"""The moving average of the weights, which generalises better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from pipeline.models.layers import BatchNormalization, normalisations


class WeightAverage(keras.callbacks.Callback):
    """Averages the weights, and the statistics of batch normalisation, over the steps.

    Validation uses the average. In early steps it looks back less far, so that it does not
    remember where the weights started. Keras's `use_ema` leaves the statistics out, and remembers.

    Args:
        model: The model in training, built.
        momentum: Of the average, from 0 to below 1; it looks back about 1 / (1 - momentum) steps.

    Source: Polyak and Juditsky (1992); as an exponential average, Tarvainen and Valpola (2017).
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        super().__init__()
        self._momentum = momentum
        norms = [norm for norm in normalisations(model) if isinstance(norm, BatchNormalization)]
        statistics = [(s, norm) for norm in norms for s in (norm.moving_mean, norm.moving_variance)]
        self._weights = [*model.trainable_variables, *(each for each, _ in statistics)]
        # What a weight is divided by to be what it stands for.
        self._shares = [
            *(lambda: 1.0 for _ in model.trainable_variables),
            *(norm.share_of_data for _, norm in statistics),
        ]
        self._averages = [
            keras.Variable(weight.numpy(), name=f"average_{weight.name}", trainable=False)
            for weight in self._weights
        ]
        self._steps = keras.Variable(0.0, name="average_steps", trainable=False)
        self._update = tf.function(self._take_in, jit_compile=False)

    @property
    def variables(self) -> list[keras.Variable]:
        """Its variables, which a checkpoint must hold."""
        return [*self._averages, self._steps]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Takes the weights of the step in."""
        self._update()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, the weights of the model are the average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _take_in(self) -> None:
        self._steps.assign_add(1.0)
        momentum = tf.minimum(self._momentum, (1 + self._steps.value) / (10 + self._steps.value))
        for average, weight, share in self._rows():
            average.assign(average + (1 - momentum) * (weight.value / share - average.value))

    def _exchange(self, logs: Any = None) -> None:  # noqa: ARG002
        """Puts the average in place of the weights, or these back."""
        for average, weight, share in self._rows():
            last = weight.numpy()
            weight.assign(average.numpy() * share)
            average.assign(last / share)

    on_test_begin = on_test_end = _exchange

    def _rows(self) -> list[tuple[keras.Variable, keras.Variable, Any]]:
        shares = [share() for share in self._shares]
        return list(zip(self._averages, self._weights, shares, strict=True))
