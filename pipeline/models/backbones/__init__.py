"""Networks that turn one frame into one feature vector."""

from __future__ import annotations

import math

import keras
from keras import layers

from pipeline.config import RunConfig
from pipeline.config.model import Stream
from pipeline.models.backbones.cnn import cnn


def build_backbone(
    config: RunConfig, stream: Stream, input_shape: tuple[int, int, int]
) -> keras.Model:
    """Builds the backbone of a stream, its features flattened on a coarse grid.

    Args:
        config: The run.
        stream: What the backbone sees.
        input_shape: (H, W, C) of a frame as the input stage gives it.

    Returns:
        A model from float (N, H, W, C) to features (N, F).
    """
    inputs = layers.Input(input_shape)
    features = cnn(config, input_shape)(inputs)
    if len(features.shape) == 4:
        features = _on_grid(features, config.backbone.grid)
    return keras.Model(inputs, features, name=f"{stream}_backbone")


def _on_grid(features: keras.KerasTensor, grid: int) -> keras.KerasTensor:
    side = max(features.shape[1:3])
    if side > grid:
        features = layers.AveragePooling2D(math.ceil(side / grid), padding="same")(features)
    return layers.Flatten()(features)
