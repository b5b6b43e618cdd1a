"""A small CNN, trained from scratch."""

from __future__ import annotations

import keras
from keras import layers

from pipeline.config import RunConfig
from pipeline.models.layers import BatchNormalization, penalty


def cnn(config: RunConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Blocks of Conv2D, normalisation, activation and MaxPooling2D.

    Args:
        config: The run: the filters, normalisation and spatial dropout of its backbone, and the
            penalties on its weights.
        input_shape: (H, W, C) of a frame.

    Returns:
        A model from float (N, H, W, C) to a feature map (N, h, w, F).
    """
    model = keras.Sequential([layers.Input(input_shape)], name="cnn")
    for filters in config.backbone.filters:
        for layer in _block(filters, config):
            model.add(layer)
    return model


def _block(filters: int, config: RunConfig) -> list[layers.Layer]:
    backbone = config.backbone
    convolution = layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=backbone.normalisation != "before",
        kernel_initializer="he_normal",
        kernel_regularizer=penalty(config.model),
    )
    # A maximum and a ReLU may change places: after the maximum there is a quarter to do.
    steps = [convolution, layers.MaxPooling2D(2, padding="same"), layers.ReLU()]
    if backbone.normalisation == "before":
        steps.insert(1, BatchNormalization(momentum=backbone.momentum))
    elif backbone.normalisation == "after":
        steps[1:] = [layers.ReLU(), BatchNormalization(momentum=backbone.momentum), steps[1]]
    if backbone.spatial_dropout:
        steps.append(layers.SpatialDropout2D(backbone.spatial_dropout))
    return steps
