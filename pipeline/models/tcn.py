"""Convolutions over time, each of which looks twice as far as the one before: a TCN."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from pipeline.config import RunConfig
from pipeline.models.layers import penalty
from pipeline.models.sequence import EndOfMask

_register = keras.saving.register_keras_serializable(package="clipline")


@_register
class DilatedResidual(EndOfMask):
    """A sequence and what a convolution of three frames that are so far apart adds to it.

    Beyond the first frame and the last real one stand zeros.

    Args:
        units: Features of the sequence (F), and filters.
        dilation: Frames from one of the three to the next.
        causal: Whether the frame itself is the last of the three, rather than the middle one.
        dropout: Share of what is added that is dropped in training.
        regularizer: Penalty on the weights.

    Call arguments:
        sequence: float (B, T, F), T static.
        mask: bool (B, T), true for real frames, right-padded.

    Returns:
        float (B, T, F); in the padding, anything.

    Source: the dilated residual layer, Farha and Gall (2019), section 3.1; causal, Bai et al.
    (2018), section 3.1.
    """

    def __init__(
        self,
        units: int,
        dilation: int,
        *,
        causal: bool = False,
        dropout: float = 0.0,
        regularizer: keras.Regularizer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.dilation, self.causal = units, dilation, causal
        self.regularizer = keras.regularizers.get(regularizer)
        # Of the three frames side by side: a product that CPUs, their gradients and converters
        # run fast whatever the dilation.
        self.convolution = layers.Dense(
            units, activation="relu", kernel_regularizer=self.regularizer, name="convolution"
        )
        self.project = layers.Dense(units, kernel_regularizer=self.regularizer, name="project")
        self.dropout = layers.Dropout(dropout)

    def build(self, sequence_shape: tuple[int | None, ...], *_: object) -> None:
        """Makes the weights."""
        self.convolution.build((*sequence_shape[:-1], 3 * self.units))
        self.project.build(sequence_shape)

    def call(self, sequence: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """See the class."""
        sequence *= ops.cast(mask, sequence.dtype)[:, :, None]
        length = sequence.shape[1]
        apart = min(self.dilation, length)  # As far as that, only zeros are seen in any case.
        padding = (2 * apart, 0) if self.causal else (apart, apart)
        padded = ops.pad(sequence, ((0, 0), padding, (0, 0)))
        seen = [padded[:, start : start + length] for start in (0, apart, 2 * apart)]
        added = self.project(self.convolution(ops.concatenate(seen, axis=-1)))
        return sequence + self.dropout(added)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "dilation": self.dilation,
            "causal": self.causal,
            "dropout": self.dropout.rate,
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


def convolve(
    sequence: keras.KerasTensor, mask: keras.KerasTensor, config: RunConfig
) -> keras.KerasTensor:
    """A TCN with layers of dilation 1, 2, 4 and so on.

    Args:
        sequence: float (B, T, F).
        mask: bool (B, T), true for real frames, right-padded.
        config: The run: units, layers, direction and dropout of its temporal part, and the
            penalties on its weights.

    Returns:
        float (B, T, units). A frame of it depends on 2 ** layers - 1 frames on each side, or, where
        it is causal, on twice as many before.
    """
    temporal, cost = config.temporal, penalty(config.model)
    outputs = layers.Dense(temporal.units, kernel_regularizer=cost)(sequence)
    for number in range(temporal.layers):
        layer = DilatedResidual(
            temporal.units,
            2**number,
            causal=temporal.causal,
            dropout=temporal.input_dropout,
            regularizer=cost,
        )
        outputs = layer(outputs, mask=mask)
    return outputs


def correct(
    logits: keras.KerasTensor, mask: keras.KerasTensor, config: RunConfig
) -> keras.KerasTensor:
    """What a further stage makes of logits, float (B, T, C): it reads their probabilities.

    Returns:
        float (B, T, units), for a head of its own.

    Source: Farha and Gall (2019), section 3.2.
    """
    kind = "sigmoid" if config.model.multilabel else "softmax"
    return convolve(layers.Activation(kind)(logits), mask, config)
