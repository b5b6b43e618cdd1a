"""Networks that turn one frame into one feature vector."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras
from keras import layers

from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.external import FrameNetwork, open_backbone
from pipeline.models.backbones.applications import APPLICATIONS, application
from pipeline.models.backbones.cnn import cnn
from pipeline.models.backbones.efficientnet_lite import LITE, efficientnet_lite
from pipeline.models.backbones.freezing import freeze, layers_of
from pipeline.models.backbones.keras_file import keras_file
from pipeline.models.layers import ToPixels, penalty
from pipeline.streams import STREAMS
from pipeline.text import suggestion


def external_backbone(config: RunConfig, stream: str, *, num_threads: int = 1) -> FrameNetwork:
    """Opens the backbone of a stream of `RunConfig.external`, see `open_backbone`."""
    backbone, side = config.backbone_of(stream), config.frames.side
    return open_backbone(Path(backbone.name), backbone.reading, size=side, num_threads=num_threads)


def build_backbone(config: RunConfig, stream: str, input_shape: Any) -> keras.Model:
    """Builds the backbone of a stream, its features flattened on a coarse grid.

    What a stream sees that is no picture are its features already.

    Args:
        config: The run.
        stream: What the backbone sees.
        input_shape: (H, W, C) of a frame, or (F,), as the input stage gives it.

    Returns:
        A model from float (N, H, W, C) to features (N, F).

    Raises:
        ConfigError: There is no such backbone, it does not take such frames, has fewer blocks
            than are to be trained, or its weights cannot be had.
        DataError: A file of a network or of weights cannot be used.
    """
    config = dataclasses.replace(config, backbone=config.backbone_of(stream))
    inputs = layers.Input(input_shape)
    if not STREAMS[stream].is_picture:
        return keras.Model(inputs, layers.Identity()(inputs), name=f"{stream}_backbone")
    if config.backbone.name == "cnn":
        network, pixels = cnn(config, input_shape), inputs
    else:
        network, pixels = _pretrained(config, stream, input_shape), ToPixels()(inputs)
    freeze(network, config.backbone.trainable)
    features = network(pixels)
    if len(features.shape) == 4:
        features = _on_grid(features, config.backbone.grid)
    return keras.Model(inputs, features, name=f"{stream}_backbone")


def _pretrained(config: RunConfig, stream: str, input_shape: tuple[int, int, int]) -> keras.Model:
    """A network on pixels, (N, H, W, 3) from 0 to 255, that may have learned before."""
    name = config.backbone.name
    if input_shape[-1] != 3:
        raise ConfigError(
            f"backbone.name {name} takes images of 3 channels, and the stream {stream} has "
            f"{input_shape[-1]}. Choose others, such as --model.streams rgb,difference, or give it "
            f"a backbone of its own: --backbone.{stream}.name cnn"
        )
    if name in LITE:
        network = efficientnet_lite(config.backbone, input_shape)
    elif name.endswith(".keras"):
        network = keras_file(config.backbone, input_shape)
    elif name in APPLICATIONS:
        network = application(config.backbone, input_shape)
    else:
        known = ["cnn", *LITE, *APPLICATIONS]
        raise ConfigError(
            f"backbone.name {name} is neither cnn, efficientnet_lite0 to 2, a model of "
            f"keras.applications nor a .keras file. {suggestion(name, known)}"
        )
    _apply_training_settings(network, config)
    return network


def _apply_training_settings(network: keras.Model, config: RunConfig) -> None:
    for layer in layers_of(network):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = config.backbone.momentum
        if isinstance(layer, layers.Conv2D):
            layer.kernel_regularizer = layer.kernel.regularizer = penalty(config.model)


def _on_grid(features: keras.KerasTensor, grid: int) -> keras.KerasTensor:
    side = max(features.shape[1:3])
    if side > grid:
        features = layers.AveragePooling2D(math.ceil(side / grid), padding="same")(features)
    return layers.Flatten()(features)
