"""Layers that turn the feature vectors of a clip's frames, in their order, into one vector."""

from __future__ import annotations

import keras
from keras import layers

from pipeline.config import ModelConfig
from pipeline.models.backbones import penalty
from pipeline.models.layers import TemporalPooling


def lstm(
    features: keras.KerasTensor, mask: keras.KerasTensor, config: ModelConfig, *, unroll: bool
) -> keras.KerasTensor:
    """An LSTM over the real frames and the pooling of its outputs.

    Args:
        features: float (B, T, F).
        mask: bool (B, T), true for real frames, right-padded. It is passed on explicitly.
        config: Units, pooling and penalties.
        unroll: Whether the graph holds one copy of the cell per frame, as converters need.

    Returns:
        float (B, units).
    """
    outputs = layers.LSTM(
        config.units,
        return_sequences=config.pooling != "last",
        unroll=unroll,
        kernel_regularizer=penalty(config),
        recurrent_regularizer=penalty(config),
        name="lstm",
    )(features, mask=mask)
    if config.pooling == "last":
        return outputs
    return TemporalPooling(config.pooling, name="temporal_pooling")(outputs, mask=mask)
