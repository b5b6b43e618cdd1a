"""Weights of a backbone from a file of Keras."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import keras

from pipeline.errors import ConfigError, DataError


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
        raise DataError(f"{path}: not weights of {network.name}: {shortened(error)}") from None


def shortened(error: Exception) -> str:
    """The beginning of what Keras says, which may be pages, in one line."""
    return textwrap.shorten(str(error), 200, placeholder=" ...")
