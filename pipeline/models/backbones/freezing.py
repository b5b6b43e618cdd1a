"""The choice of a backbone's layers that are trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import keras

from pipeline.errors import ConfigError
from pipeline.text import counted


def freeze(network: keras.Model, trainable: int | Literal["all", "none"]) -> None:
    """Freezes what is not to be trained, its batch normalisation with it.

    Args:
        network: The backbone, nested models included.
        trainable: `all`, `none`, or the number of last blocks that are trained. A block is a run
            of layers of one output resolution, with something to train.

    Raises:
        ConfigError: There are not so many blocks.
    """
    _train_only(network, set(layers_of(network)))
    if trainable == "none":
        _train_only(network, set())
    elif trainable != "all":
        blocks = _blocks(network)
        if trainable > len(blocks):
            raise ConfigError(
                f"backbone.trainable must be all, none, or at most {len(blocks)}: {network.name} "
                f"has {counted(len(blocks), 'block')} at this frame size. Received: {trainable}"
            )
        _train_only(network, {layer for block in blocks[-trainable:] for layer in block})


def _train_only(network: keras.Model, chosen: set[keras.layers.Layer]) -> None:
    """Each layer is told: Keras does not pass it on to the layers of every nested model."""
    network.trainable = True
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            _train_only(layer, chosen)
        else:
            layer.trainable = layer in chosen


def layers_of(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers in their order, those of nested models in place of the models."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


def _blocks(network: keras.Model) -> list[list[keras.layers.Layer]]:
    """From the end: a layer opens a block when its resolution is above all that follow.

    So squeeze-and-excitation, which falls to one pixel and comes back, opens none; nor does the
    padding that a convolution takes away again.
    """
    blocks: list[list[keras.layers.Layer]] = [[]]
    largest = 0
    for layer in reversed(list(layers_of(network))):
        if _area(layer) > largest:
            largest = _area(layer)
            blocks.append([])
        blocks[-1].append(layer)
    return [block for block in reversed(blocks) if any(part.trainable_weights for part in block)]


def _area(layer: keras.layers.Layer) -> int:
    """Height times width of the output; 0 where there is no one map, or it is only padded."""
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return 0
    try:
        shape = layer.output.shape
    except AttributeError:  # of several outputs, or called by code that Keras cannot look into
        return 0
    return shape[1] * shape[2] if len(shape) == 4 and None not in shape[1:3] else 0
