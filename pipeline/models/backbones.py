"""CNNs that turn one frame into one feature vector."""

from __future__ import annotations

import math

import keras
from keras import layers

from pipeline.config import ModelConfig
from pipeline.models.layers import BatchNormalization


def cnn(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Sequential:
    """Blocks of Conv2D, normalisation, activation and MaxPooling2D, flattened on a coarse grid.

    Args:
        config: Filters, normalisation, spatial dropout, grid and penalties.
        input_shape: (H, W, C) of a frame.

    Returns:
        A model from float (N, H, W, C) to features (N, F).
    """
    model = keras.Sequential([layers.Input(input_shape)], name="backbone")
    for filters in config.filters:
        for layer in _block(filters, config):
            model.add(layer)
    side = max(model.output_shape[1:3])
    if side > config.grid:
        model.add(layers.AveragePooling2D(math.ceil(side / config.grid), padding="same"))
    model.add(layers.Flatten())
    if config.normalise_features:
        model.add(BatchNormalization(momentum=config.momentum))
    return model


def _block(filters: int, config: ModelConfig) -> list[layers.Layer]:
    convolution = layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=config.normalisation != "before",
        kernel_initializer="he_normal",
        kernel_regularizer=penalty(config),
    )
    steps = [convolution, layers.ReLU(), layers.MaxPooling2D(2, padding="same")]
    if config.normalisation != "off":
        place = 1 if config.normalisation == "before" else 2
        steps.insert(place, BatchNormalization(momentum=config.momentum))
    if config.spatial_dropout:
        steps.append(layers.SpatialDropout2D(config.spatial_dropout))
    return steps


def penalty(config: ModelConfig) -> keras.regularizers.Regularizer | None:
    """The L1 and L2 penalty on weights, or None where both are 0."""
    if config.l1 or config.l2:
        return keras.regularizers.L1L2(config.l1, config.l2)
    return None
