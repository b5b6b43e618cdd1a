"""The layers that Keras lacks, or has with a flaw that matters for clips."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from pipeline.config import ModelConfig
from pipeline.streams import STREAMS

_register = keras.saving.register_keras_serializable(package="clipline")


def penalty(config: ModelConfig) -> keras.regularizers.Regularizer | None:
    """The L1 and L2 penalty on weights, or None where both are 0."""
    if config.l1 or config.l2:
        return keras.regularizers.L1L2(config.l1, config.l2)
    return None


@_register
class TimeDistributed(keras.layers.TimeDistributed):
    """Applies a layer or model to every real frame of a batch of clips, all in one call.

    Time is folded into the batch. Keras's own layer calls the wrapped layer once per time step:
    several times slower, and it updates moving statistics T times a step. Frames whose mask is
    false are not computed: they cost nothing, stay out of batch statistics, and their outputs
    are 0.

    Args:
        layer: Any layer or model on frames, (N, ...) -> (N, ...).
        skip_padding: Whether padding is left out of the computation, for which the number of
            frames that are computed varies. With False it is computed and then set to 0, which
            keeps all shapes static, as converters need; at inference the outputs are the same.

    Call arguments:
        inputs: (B, T, ...).
        mask: bool (B, T), true for real frames; None where all are.

    Returns:
        (B, T, ...), of the dtype in which the layer computes.

    Raises:
        ValueError: The mask is not (B, T) of the inputs.

    Example:
        >>> layer = TimeDistributed(keras.layers.Conv2D(8, 3))
        >>> layer(ops.zeros((2, 5, 32, 32, 3))).shape
        TensorShape([2, 5, 30, 30, 8])
    """

    def __init__(
        self, layer: keras.layers.Layer, *, skip_padding: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(layer, **kwargs)
        self.skip_padding = skip_padding

    def compute_mask(self, *_: object) -> None:
        """No mask goes on by itself: what needs it is given it."""

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """See the class."""
        if mask is not None:
            _expect_fit(mask, inputs)
        _, time, *shape = ops.shape(inputs)
        frames = ops.reshape(inputs, (-1, *shape))
        if mask is None:
            outputs = computed = self.layer(frames)
        elif self.skip_padding:
            # What was not known before the step, and would go unnoticed.
            tf.debugging.assert_equal(tf.shape(mask), tf.shape(inputs)[:2], "mask must be (B, T)")
            real = tf.where(ops.reshape(mask, (-1,)))
            computed = self.layer(tf.gather_nd(frames, real))
            num_frames = tf.shape(frames, tf.int64)[:1]
            shape = tf.concat([num_frames, tf.shape(computed, tf.int64)[1:]], axis=0)
            outputs = tf.scatter_nd(real, computed, shape)
        else:
            computed = self.layer(frames)
            keep = ops.reshape(mask, (-1, *[1] * (len(computed.shape) - 1)))
            outputs = ops.where(keep, computed, ops.zeros_like(computed))
        outputs = ops.reshape(outputs, (-1, time, *ops.shape(computed)[1:]))
        return ops.cast(outputs, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "skip_padding": self.skip_padding}


def _expect_fit(mask: tf.Tensor, inputs: tf.Tensor) -> None:
    if not inputs.shape[:2].is_compatible_with(mask.shape):
        raise ValueError(
            f"mask must be (B, T) of the inputs, {inputs.shape[:2]}. Received: {mask.shape}"
        )


@_register
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose moving statistics are right from the first step on.

    Keras starts them at mean 0 and variance 1 and lets that start decay by `momentum` a step:
    after the few hundred steps of a small data set it still weighs in, layer after layer, and a
    model that fits its batches predicts one single class at inference. Here they start at 0 and
    are divided by the weight that the data has in them, 1 - momentum ** steps.

    With `synchronized`, a batch is normalised by the statistics of its shares on all devices.

    Raises:
        ValueError: `renorm` is asked for, which goes by other statistics.

    Source: the bias correction of Adam (Kingma and Ba, 2015, section 3), applied to the moving
    averages of Ioffe and Szegedy (2015).
    """

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("renorm"):
            raise ValueError("renorm must be False. Take keras.layers.BatchNormalization for it")
        super().__init__(**{**kwargs, "moving_variance_initializer": "zeros"})

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Adds the count of training steps to the weights."""
        super().build(input_shape)
        self.steps = self.add_weight(
            name="steps", shape=(), initializer="zeros", trainable=False, dtype="float32"
        )

    def share_of_data(self) -> tf.Tensor:
        """The weight that batches have in the moving statistics, from 0 to 1."""
        return 1 - ops.power(self.momentum, ops.maximum(self.steps, 1))

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalises by the batch in training, by the corrected moving statistics otherwise."""
        if training and self.trainable:
            self.steps.assign_add(1)
            if self.synchronized and _num_devices() > 1:
                return self._normalise_over_devices(inputs, mask)
            is_image = mask is None and len(inputs.shape) == 4 and self.axis in (-1, 3)
            if is_image and self.variable_dtype == "float32":  # all that the kernel takes
                return self._normalise_images(inputs)
            return super().call(inputs, training=training, mask=mask)
        weight = self.share_of_data()
        variance = ops.where(self.steps > 0, self.moving_variance / weight, 1)
        return self._normalised(inputs, self.moving_mean / weight, variance)

    def _normalised(self, inputs: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        outputs = ops.batch_normalization(
            ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32")),
            mean=mean,
            variance=variance,
            axis=self.axis,
            offset=self.beta if self.center else None,
            scale=self.gamma if self.scale else None,
            epsilon=self.epsilon,
        )
        return ops.cast(outputs, self.compute_dtype)

    def _normalise_over_devices(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
        """Batch normalisation over the last axis, by what all devices have of the batch."""
        values = ops.cast(inputs, "float32")
        values = ops.reshape(values, (-1, values.shape[-1]))
        if mask is not None:
            values = tf.boolean_mask(values, ops.reshape(mask, (-1,)))
        count = ops.cast(ops.shape(values)[0], "float32")
        mean = ops.sum(values, axis=0) / ops.maximum(count, 1)
        squares = ops.sum(ops.square(values - mean), axis=0)
        counts, means, squares = tf.unstack(
            _of_devices(ops.stack([ops.broadcast_to(count, mean.shape), mean, squares]))
        )
        total = ops.sum(counts, axis=0)
        mean = ops.sum(counts * means, axis=0) / total
        variance = ops.sum(squares + counts * ops.square(means - mean), axis=0) / total
        self._move(mean, variance)
        return self._normalised(inputs, mean, variance)

    def _normalise_images(self, inputs: tf.Tensor) -> tf.Tensor:
        """Batch normalisation of images in one pass, by TensorFlow's fused kernel."""
        channels = inputs.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            scale=self.gamma if self.scale else tf.ones(channels),
            offset=self.beta if self.center else tf.zeros(channels),
            epsilon=self.epsilon,
        )
        # The kernel gives the unbiased estimate, over n - 1; the batch was normalised over n.
        count = ops.cast(ops.size(inputs) // channels, "float32")
        self._move(mean, variance * (count - 1) / count)
        return outputs

    def _move(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))


def _num_devices() -> int:
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def _of_devices(values: tf.Tensor) -> tf.Tensor:
    """What each device has, (..., C), of all of them, (..., devices, C), with its gradient."""
    context = tf.distribute.get_replica_context()
    number = ops.one_hot(context.replica_id_in_sync_group, _num_devices(), dtype=values.dtype)
    placed = values[..., None, :] * number[:, None]
    return context.all_reduce(tf.distribute.ReduceOp.SUM, placed)


def normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers of batch normalisation that are trained, wherever they are in a model."""
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


@_register
class InputStage(keras.layers.Layer):
    """Turns what is stored of frames into what the backbone of a stream sees.

    Args:
        kind: The stream, see `pipeline.streams`.
        gain: Factor on the differences of frames in [0, 1].

    Call arguments:
        images: What the stream is made of, such as uint8 (B, T, H, W, 3).

    Returns:
        See `pipeline.streams.Stream.see`.
    """

    def __init__(self, kind: str, *, gain: float = 3.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.gain = kind, gain

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return STREAMS[self.kind].see(ops.cast(images, self.compute_dtype), self.gain)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of what it gives, without tracing the layer for it."""
        return STREAMS[self.kind].seen_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "kind": self.kind, "gain": self.gain}


@_register
class ToPixels(keras.layers.Layer):
    """Values in [-1, 1] as pixels, 0 to 255, for pretrained networks; what lies beyond is clipped.

    Call arguments:
        inputs: float (N, H, W, 3).

    Returns:
        float (N, H, W, 3), 0 to 255.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return ops.clip((inputs + 1) * 127.5, 0, 255)
