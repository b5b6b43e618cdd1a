"""How a recogniser is fitted: its optimiser, the average of its weights, its losses and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from pipeline.config import RunConfig
from pipeline.models.layers import BatchNormalization, normalisations
from pipeline.tasks.task import task_of

_NO_WEIGHTS = ("bias", "gamma", "beta")


class AdamW(keras.optimizers.Adam):
    """Adam with decoupled weight decay, and another learning rate for some of the variables.

    What is no weight of a layer (biases, scales of normalisation) does not decay. Keras's own lets
    weights of a lower learning rate decay like all others.

    Args:
        decay: Share by which weights shrink in a step, times the learning rate.
        factors: Factor on the learning rate, for steps and decay, of a variable by its path.
        **kwargs: As for `keras.optimizers.Adam`.

    Source: Loshchilov and Hutter (2019).
    """

    def __init__(
        self, *, decay: float = 0.0, factors: Mapping[str, float] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.decay, self.factors = decay, dict(factors or {})

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the moments, and knows the variables from then on."""
        super().build(variables)
        self._factors = [self.factors.get(variable.path, 1.0) for variable in variables]
        self._decays = [0 if variable.name in _NO_WEIGHTS else self.decay for variable in variables]

    def _get_current_learning_rate(self) -> tf.Tensor:
        """That of the next change of the weights; where gradients add up, Keras counts steps."""
        rate = self._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return rate(self.iterations)
        return super()._get_current_learning_rate()

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Changes one variable."""
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._factors[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * rate * self._decays[index])
        super().update_step(gradient, variable, rate)

    def _backend_update_step(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
        """Changes this device's copy of all, by gradients that are summed over devices already.

        Keras would sum them here, after they were clipped.
        """
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _backend_increment_gradient_accumulators(
        self, grads: Sequence[tf.Tensor], acc_grads: Sequence[keras.Variable]
    ) -> None:
        """Adds gradients up, likewise."""
        for gradient, total in zip(grads, acc_grads, strict=True):
            total.assign(total + gradient)


def compile_model(model: keras.Model, config: RunConfig, steps: int) -> list[keras.metrics.Metric]:
    """Sets loss, metrics and optimiser: AdamW, the learning rate rising, then falling to 0.

    There are so many steps in an epoch.

    Returns:
        The metrics besides the loss.

    Source: the cosine schedule, Loshchilov and Hutter (2017).
    """
    train, task = config.train, task_of(config.model)
    total = steps * train.epochs // train.gradient_accumulation_steps
    warmup = round(total * train.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else train.learning_rate,
        decay_steps=max(1, total - warmup),
        warmup_target=train.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = AdamW(
        learning_rate=schedule,
        decay=train.weight_decay,
        global_clipnorm=train.clip_norm or None,
        gradient_accumulation_steps=train.gradient_accumulation_steps
        if train.gradient_accumulation_steps > 1
        else None,
        factors=_factors(model, config),
    )
    if train.precision == "mixed_float16":
        # Small gradients would be 0 in it. Keras goes by the model itself, which may be of float32.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    loss = task.loss(train.transition_penalty)
    # By its name alone, its variables were made within the first step, which is traced again.
    metrics = [*task.metrics(), TopClassShare(model.output_shape[-1])]
    if config.model.trained_apart:
        loss, metrics = LossOfEach(loss), [MetricOfMean(metric) for metric in metrics]
    model.compile(
        optimizer,
        loss,
        metrics=metrics,
        # The number of real frames varies from batch to batch; XLA would compile for each.
        jit_compile=False,
    )
    # For the same reason; and a checkpoint is written before the first step.
    model.optimizer.build(model.trainable_variables)
    return metrics


def _factors(model: keras.Model, config: RunConfig) -> dict[str, float]:
    """The factor on the learning rate of each variable of a backbone that has one."""
    factors = {
        f"{stream}_features": config.backbone_of(stream).learning_rate_factor
        for stream in config.model.streams
    }
    return {
        variable.path: factors[layer.name]
        for layer in model.layers
        if factors.get(layer.name, 1) < 1
        for variable in layer.trainable_variables
    }


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


class TopClassShare(keras.metrics.Metric):
    """The share of the class that is given most often, to clips or known frames, 0 to 1."""

    def __init__(self, num_classes: int, name: str = "top_class_share") -> None:
        super().__init__(name=name)
        self.num_classes = num_classes
        self.counts = self.add_variable((num_classes,), "zeros", name="counts")

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Counts the answers of logits, (B, C), (B, T, C) or, of the last of S, (B, S, T, C).

        A frame of which nothing is known has targets below 0 alone.
        """
        del sample_weight
        logits = y_pred[:, -1] if len(y_pred.shape) == 4 else y_pred
        answers = ops.one_hot(ops.argmax(logits, axis=-1), self.num_classes)
        known = ops.cast(ops.any(y_true >= 0, axis=-1, keepdims=True), answers.dtype)
        counts = ops.sum(ops.reshape(answers * known, (-1, self.num_classes)), axis=0)
        self.counts.assign_add(ops.cast(counts, self.counts.dtype))

    def result(self) -> tf.Tensor:
        """The share so far."""
        total = ops.maximum(ops.sum(self.counts), 1)
        return ops.max(self.counts) / total


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
