"""Networks of keras.applications, each with the preprocessing of its family."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import keras
from keras import layers

from pipeline.config.model import BackboneConfig
from pipeline.errors import ConfigError
from pipeline.models.backbones.keras_file import load_weights, weights_file
from pipeline.text import one_line

APPLICATIONS = [name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction)]


@keras.saving.register_keras_serializable(package="clipline")
class Preprocess(layers.Layer):
    """The preprocessing that a family of keras.applications was trained with.

    Args:
        family: The module of keras.applications, such as `mobilenet_v2`.

    Call arguments:
        pixels: float (N, H, W, 3), 0 to 255.

    Returns:
        float (N, H, W, 3), in the range and order of channels of the family.
    """

    def __init__(self, family: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.family = family

    def call(self, pixels: Any) -> Any:
        """See the class."""
        return getattr(keras.applications, self.family).preprocess_input(pixels)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "family": self.family}


def application(config: BackboneConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Builds a network of keras.applications without its classifier.

    Args:
        config: The backbone: its name, one of `APPLICATIONS`, and its weights.
        input_shape: (H, W, 3) of a frame.

    Returns:
        A model from float (N, H, W, 3), 0 to 255, to a feature map (N, h, w, F).

    Raises:
        ConfigError: The network does not take frames of this size, or its weights could not be
            downloaded, or there is no such weights file.
        DataError: The weights file is of another network.
    """
    build = getattr(keras.applications, config.name)
    network = _build(build, config, input_shape)
    if config.weights not in ("imagenet", "none"):
        load_weights(network, weights_file(config.weights))
    inputs = layers.Input(input_shape)
    pixels = Preprocess(build.__module__.rpartition(".")[2])(inputs)
    return keras.Model(inputs, network(pixels), name=config.name)


def _build(build: Any, config: BackboneConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    weights = "imagenet" if config.weights == "imagenet" else None
    try:
        with warnings.catch_warnings():
            # MobileNets say that they take the weights of 224 pixels for other sizes, as is right.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
            return build(include_top=False, weights=weights, input_shape=input_shape)
    except ValueError as error:
        raise ConfigError(
            f"backbone.name {config.name} does not take frames of {input_shape[0]} x "
            f"{input_shape[1]} pixels: {one_line(error)}. Prepare with a larger --size, or choose "
            "another backbone"
        ) from None
    except Exception as error:  # nothing more special comes from a download that fails
        raise ConfigError(
            f"backbone.weights imagenet: {one_line(error)}. Download that file by hand and give "
            "its path as --backbone.weights, or start without: --backbone.weights none"
        ) from None
