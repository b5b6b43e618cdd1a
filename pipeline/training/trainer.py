"""Training step by step, the same for one device, for several, and for several machines."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras
import tensorflow as tf

from pipeline.models.layers import normalisations
from pipeline.training.cluster import Cluster

Logs = dict[str, float]
Batches = Callable[..., tf.data.Dataset]
"""Makes endless batches of the `share` of a process."""
Validation = Callable[..., tuple[tf.data.Dataset, int]]
"""Makes those of validation likewise, and tells how many a device has."""


class Trainer:
    """Trains a model step by step, on all devices of all workers at once.

    Each device computes the gradients of its share of the batch. Their sum is the gradient of the
    batch, which every device applies to its own copy of the model; so all copies stay the same.
    The statistics of batch normalisation, those of its share on each device, are averaged.

    Keras' `fit` does not do this for several machines, nor where a share holds fewer known frames
    than another.

    Args:
        model: Compiled by `compile_model`, within the scope of the cluster.
        metrics: What that gave.
        cluster: Where the model is trained.

    Source: synchronous data parallelism, Chen et al. (2016).
    """

    def __init__(
        self, model: keras.Model, metrics: Sequence[keras.metrics.Metric], cluster: Cluster
    ) -> None:
        self.model, self.cluster = model, cluster
        self._metrics = metrics
        with cluster.strategy.scope():
            self._loss = keras.metrics.Mean("loss")
        self._statistics = [
            variable
            for norm in normalisations(model)
            for variable in (norm.moving_mean, norm.moving_variance)
        ]
        self._step = tf.function(self._train_step, autograph=False)
        self._judge = tf.function(self._test_step, autograph=False)

    def _batches(self, make: Batches) -> tf.data.Dataset:
        """What each device is given, of endless batches."""
        share = self.cluster.share()
        if share.devices == 1:
            return make(share=share)
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return self.cluster.strategy.distribute_datasets_from_function(
            lambda _: make(share=share).apply(endless)
        )

    def _validation(self, make: Validation | None) -> tuple[tf.data.Dataset | None, int]:
        if not make:
            return None, 0
        batches, turns = make(share=self.cluster.share())
        if self.cluster.share().devices == 1:
            return batches, turns
        return self._batches(lambda **_: batches.repeat()), turns

    def _draw_apart(self) -> None:
        """Lets dropout differ from device to device."""
        states = [each for each in self.model.variables if each.name == "seed_generator_state"]

        def shift() -> None:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            for state in states:
                state.assign(state + tf.cast([number * 7919, 0], state.dtype))

        if self.cluster.num_devices > 1:
            self.cluster.strategy.run(tf.function(shift))

    def fit(
        self,
        training: Batches,
        validation: Validation | None,
        *,
        epochs: range,
        steps: int,
        callbacks: Sequence[keras.callbacks.Callback],
        ctrl_c: CtrlC,
    ) -> None:
        """Trains for some epochs.

        Args:
            training: See `batches_to_fit`.
            validation: See `shared_validation`; None: there is none.
            epochs: Their numbers, from 0.
            steps: Of an epoch.
            callbacks: What is called at the beginning and the end of steps, epochs and validation.
            ctrl_c: Whether to stop.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, here or at another worker.
        """
        self._draw_apart()
        params = {"epochs": epochs[-1] + 1 if epochs else 0, "steps": steps}
        calls = keras.callbacks.CallbackList(list(callbacks), model=self.model, **params)
        self.model.stop_training = False
        batches = iter(self._batches(training))
        judged, turns = self._validation(validation)
        calls.on_train_begin()
        for epoch in epochs:
            calls.on_epoch_begin(epoch)
            logs = self._train(batches, steps, calls, ctrl_c)
            if judged:
                calls.on_test_begin()
                found = self.judge(iter(judged), turns, ctrl_c)
                calls.on_test_end()
                logs |= {f"val_{name}": value for name, value in found.items()}
            calls.on_epoch_end(epoch, logs)
            if self.cluster.num_workers == 1:
                ctrl_c.raise_if_pressed()
            if self.model.stop_training:
                break
        calls.on_train_end()

    def _train(
        self, batches: Iterator[Any], steps: int, calls: keras.callbacks.CallbackList, ctrl_c: CtrlC
    ) -> Logs:
        self._reset()
        for step in range(steps):
            calls.on_train_batch_begin(step)
            pressed = self._step(batches, tf.constant(float(ctrl_c.pressed)))
            calls.on_train_batch_end(step)
            if ctrl_c.pressed if self.cluster.num_workers == 1 else pressed > 0:
                self.cluster.leave()
                raise KeyboardInterrupt
        return self._logs()

    def judge(
        self, batches: Iterator[Any], steps: int | None = None, ctrl_c: CtrlC | None = None
    ) -> Logs:
        """The loss and the metrics of so many batches a device, or of all there are, by name.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and there is no other worker.
        """
        self._reset()
        try:
            while steps is None or steps > 0:
                self._judge(batches)
                steps = None if steps is None else steps - 1
                if ctrl_c and ctrl_c.pressed and self.cluster.num_workers == 1:
                    raise KeyboardInterrupt
        except tf.errors.OutOfRangeError:
            pass
        return self._logs()

    def _train_step(self, batches: Iterator[Any], pressed: tf.Tensor) -> tf.Tensor:
        found = self.cluster.strategy.run(self._learn, (next(batches), pressed))
        return self.cluster.strategy.experimental_local_results(found)[0]

    def _test_step(self, batches: Iterator[Any]) -> None:
        self.cluster.strategy.run(self._look, (next(batches),))

    def _learn(self, batch: Any, pressed: tf.Tensor) -> tf.Tensor:
        inputs, targets, *weights = batch
        model = self.model
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = model.compute_loss(inputs, targets, logits, *weights, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        if self.cluster.num_devices > 1:
            gradients, pressed = self._joined(gradients, targets, pressed)
        model.optimizer.apply(gradients, model.trainable_variables)
        self._note(loss, targets, logits)
        return pressed

    def _joined(
        self, gradients: Sequence[tf.Tensor], targets: tf.Tensor, pressed: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The gradients of the whole batch, and how many pressed Ctrl-C; averages the statistics.

        A device whose share holds more clips, or of whose frames more is known, counts for more.
        """
        devices, count = self.cluster.num_devices, len(gradients)
        known = tf.reduce_sum(tf.cast(targets >= 0, tf.float32))
        # Keras divides the loss by the number of devices.
        weighted = [devices * known * each for each in gradients]
        means = [each / devices for each in self._statistics]
        *found, total, pressed = self.cluster.sum([*weighted, *means, known, tf.identity(pressed)])
        for variable, mean in zip(self._statistics, found[count:], strict=True):
            variable.assign(mean)
        return [each / tf.maximum(total, 1) for each in found[:count]], pressed

    def _look(self, batch: Any) -> None:
        """Judges a batch; with a third part that is false, only computes."""
        inputs, targets, *counts = batch
        logits = self.model(inputs, training=False)
        loss = self.model.compute_loss(inputs, targets, logits, training=False)
        if counts:
            tf.cond(counts[0], lambda: self._note(loss, targets, logits), lambda: None)
        else:
            self._note(loss, targets, logits)

    def _note(self, loss: tf.Tensor, targets: tf.Tensor, logits: tf.Tensor) -> None:
        size = tf.shape(targets)[0]
        self._loss.update_state(loss * self.cluster.num_devices, sample_weight=size)
        for metric in self._metrics:
            metric.update_state(targets, logits)

    def _reset(self) -> None:
        for metric in (self._loss, *self._metrics):
            metric.reset_state()

    def _logs(self) -> Logs:
        found = {metric.name: float(metric.result()) for metric in (self._loss, *self._metrics)}
        return dict(sorted(found.items()))


class CtrlC:
    """Whether Ctrl-C was pressed, for a training that looks between its steps.

    Attributes:
        pressed: Whether it was.
    """

    def __init__(self) -> None:
        self.pressed = False

    def raise_if_pressed(self) -> None:
        """Raises `KeyboardInterrupt` if it was."""
        if self.pressed:
            raise KeyboardInterrupt


@contextmanager
def ctrl_c_between_steps() -> Iterator[CtrlC]:
    """Within it the first Ctrl-C is noted alone; the second raises at once.

    An exception that comes up while TensorFlow calls back into Python, as it does all through the
    first step, may be printed, dropped or made into another one. The last is mended here as well.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    ctrl_c = CtrlC()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield ctrl_c
        return

    def press(number: int, frame: FrameType | None) -> None:
        if ctrl_c.pressed:
            before(number, frame)
        ctrl_c.pressed = True

    signal.signal(signal.SIGINT, press)
    try:
        yield ctrl_c
    except Exception:
        if ctrl_c.pressed:
            raise KeyboardInterrupt from None
        raise
    else:
        ctrl_c.raise_if_pressed()  # after the last step
    finally:
        signal.signal(signal.SIGINT, before)
