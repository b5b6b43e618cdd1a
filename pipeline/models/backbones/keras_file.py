"""A network that somebody else saved, and weights from a file of Keras."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import keras
from keras import layers

from pipeline.config.model import BackboneConfig
from pipeline.errors import ConfigError, DataError


def keras_file(config: BackboneConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Loads a network from a `.keras` file.

    Args:
        config: The backbone: its name is the file. With weights `imagenet` the network keeps those
            of the file.
        input_shape: (H, W, 3) of a frame.

    Returns:
        A model from float (N, H, W, 3), 0 to 255, to features (N, F) or (N, h, w, F).

    Raises:
        ConfigError: There is no such file, or frames of this size do not fit the network.
        DataError: The file is no network that can be loaded, or does not give features.
    """
    path = Path(config.name)
    if not path.is_file():
        raise ConfigError(f"backbone.name {path}: there is no such file")
    saved = _load(path)
    _check_input(path, saved, input_shape)
    # A copy of fixed size: files are often saved for frames of any size.
    network = keras.models.clone_model(saved, input_tensors=layers.Input(input_shape))
    if config.weights != "none":
        network.set_weights(saved.get_weights())
    if config.weights not in ("imagenet", "none"):
        load_weights(network, weights_file(config.weights))
    _check_output(path, network)
    return network


def weights_file(name: str) -> Path:
    """The file that `backbone.weights` names.

    Raises:
        ConfigError: There is none.
    """
    path = Path(name)
    if not path.is_file():
        raise ConfigError(
            f"backbone.weights must be imagenet, none, or a weights file. There is no file {name}"
        )
    return path


def load_weights(network: keras.Model, path: Path) -> None:
    """Loads a `.weights.h5` file, or what else Keras reads weights from.

    Raises:
        DataError: It is none, or of another network.
    """
    try:
        with warnings.catch_warnings():
            # Of every layer that it looks for in several places; if one is in none, it fails.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            network.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not weights of {network.name}: {_shortened(error)}") from None


def _load(path: Path) -> keras.Model:
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # what Keras raises depends on what is wrong in the file
        problem = f"not a Keras model that can be loaded: {_shortened(error)}"
        raise DataError(f"{path}: {problem}") from None
    if not getattr(model, "inputs", None):
        raise DataError(f"{path}: expected a functional or sequential Keras model")
    return model


def _check_input(path: Path, model: keras.Model, frame: tuple[int, int, int]) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise DataError(f"{path}: expected one input, of frames (H, W, 3). Received: {shapes}")
    if any(size not in (None, given) for size, given in zip(shapes[0], frame, strict=True)):
        raise ConfigError(
            f"{path}: its input {shapes[0]} does not fit the frames {frame} of the data set. "
            "Prepare with the --size that it takes"
        )


def _check_output(path: Path, model: keras.Model) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) not in (1, 3) or None in shapes[0]:
        raise DataError(
            f"{path}: expected one output, of features (F) or (h, w, F). Received: {shapes}"
        )


def _shortened(error: Exception) -> str:
    """The beginning of what Keras says, which may be pages, in one line."""
    return textwrap.shorten(str(error), 200, placeholder=" ...")
