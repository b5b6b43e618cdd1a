"""The part that reads the feature vectors of a clip's frames in their order."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from pipeline.config import RunConfig
from pipeline.models.layers import BatchNormalization, penalty
from pipeline.models.recurrent import UnrolledGRU, UnrolledLSTM
from pipeline.models.sequence import (
    AttentionPooling,
    FrameStatistics,
    ReverseFrames,
    TemporalPooling,
    ZeroPadding,
)
from pipeline.models.tcn import convolve

MOST_UNROLLED = 64
"""Frames of a clip that training unrolls."""


def summarise(
    features: keras.KerasTensor, mask: keras.KerasTensor, config: RunConfig, *, unroll: bool
) -> keras.KerasTensor:
    """Reads the real frames of clips in their order.

    Args:
        features: float (B, T, F).
        mask: bool (B, T), true for real frames, right-padded. It is passed on explicitly.
        config: The run: kind, units, layers, pooling and dropouts of its temporal part, the
            penalties on its weights, and whether there is an answer at every frame.
        unroll: Whether the graph holds one copy of a recurrent cell per frame in any case, as
            converters need.

    Returns:
        float (B, units), twice as many for `bilstm`; (B, F) for `mean`; (B, 4 F) for `stats`,
        standardised. Of every frame, where there is an answer at each, (B, T, units).
    """
    temporal = config.temporal
    outputs, pooling = features, temporal.pooling
    if temporal.kind == "stats":
        statistics = FrameStatistics(name="temporal_pooling")(features, mask=mask)
        options = {"epsilon": 1e-5, "center": False, "scale": False}
        return BatchNormalization(momentum=0.9, name="standardise", **options)(statistics)
    if temporal.kind == "mean":
        pooling = "mean"
    elif temporal.kind == "tcn":
        outputs = convolve(features, mask, config)
    else:
        outputs = _recur(features, mask, config, unroll=unroll)
    if len(outputs.shape) == 2 or config.model.per_frame:
        return outputs
    if pooling == "attention":
        return AttentionPooling(temporal.units, name="temporal_pooling")(outputs, mask=mask)
    return TemporalPooling(pooling, name="temporal_pooling")(outputs, mask=mask)


def _recur(
    features: keras.KerasTensor, mask: keras.KerasTensor, config: RunConfig, *, unroll: bool
) -> keras.KerasTensor:
    """Recurrent layers: all their outputs, or the last one where nothing else is used."""
    temporal, outputs = config.temporal, features
    if temporal.kind == "conv1d_lstm":
        outputs = _convolution(ZeroPadding()(outputs, mask=mask), config)
    one_is_used = temporal.pooling == "last" and not config.model.per_frame
    for number in range(temporal.layers):
        sequences = not (one_is_used and number == temporal.layers - 1)
        outputs = _read(outputs, mask, config, return_sequences=sequences, unroll=unroll)
    return outputs


def _convolution(features: keras.KerasTensor, config: RunConfig) -> keras.KerasTensor:
    """Conv1D over time; what it sees beyond the last real frame must be 0, as beyond the first."""
    return layers.Conv1D(
        config.temporal.units,
        3,
        padding="same",
        activation="relu",
        kernel_regularizer=penalty(config.model),
        name="conv1d",
    )(features)


def _read(
    features: keras.KerasTensor,
    mask: keras.KerasTensor,
    config: RunConfig,
    *,
    return_sequences: bool,
    unroll: bool,
) -> keras.KerasTensor:
    """One recurrent layer; for `bilstm` one each way, side by side."""
    unroll = unroll or _is_faster_unrolled(features.shape[1])
    options = {"return_sequences": return_sequences, "unroll": unroll}
    forwards = _recurrent(config, **options)(features, mask=mask)
    if config.temporal.kind != "bilstm":
        return forwards
    # Keras' Bidirectional sets the wrong frames to 0 where it is unrolled and masked, and reads
    # the padding first, which the fast LSTM of GPUs cannot.
    backwards = _recurrent(config, **options)(ReverseFrames()(features, mask=mask), mask=mask)
    if return_sequences:
        backwards = ReverseFrames()(backwards, mask=mask)
    return layers.Concatenate()([forwards, backwards])


def _is_faster_unrolled(num_frames: int) -> bool:
    """Whether unrolling pays: without a GPU, until the graph of many frames is slow to trace."""
    return num_frames <= MOST_UNROLLED and not tf.config.list_physical_devices("GPU")


def _recurrent(config: RunConfig, *, unroll: bool, return_sequences: bool) -> layers.Layer:
    temporal, is_gru = config.temporal, config.temporal.kind == "gru"
    options: dict[str, Any] = {
        "dropout": temporal.input_dropout,
        "recurrent_dropout": temporal.recurrent_dropout,
        "return_sequences": return_sequences,
    }
    cost = penalty(config.model)
    if unroll:
        kind = UnrolledGRU if is_gru else UnrolledLSTM
        return kind(temporal.units, regularizer=cost, **options)
    kind = layers.GRU if is_gru else layers.LSTM
    return kind(temporal.units, kernel_regularizer=cost, recurrent_regularizer=cost, **options)
