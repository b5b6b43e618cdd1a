"""The whole network: configuration and number of classes -> keras.Model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
from keras import layers

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.models.backbones import build_backbone
from pipeline.models.layers import BatchNormalization, InputStage, TimeDistributed, penalty
from pipeline.models.temporal import summarise
from pipeline.streams import STREAMS
from pipeline.streams.former import layer_name
from pipeline.text import command


def build_recognizer(
    config: RunConfig, num_classes: int, *, for_export: bool = False
) -> keras.Model:
    """Builds the model of a run, not compiled, with new weights.

    Each stream is a backbone, `STREAM_features`, and a temporal part with its head,
    `STREAM_temporal`; the logits of several streams are averaged.

    Args:
        config: The run; `frames.size` and `clip.num_frames` fix the shape of its input. The
            precision is that of the backbones, and `auto`, which training decides, is float32.
        num_classes: Number of logits.
        for_export: Whether all shapes are static and recurrent layers are unrolled, as converters
            need, in float32. The weights and what they compute at inference are the same.

    Returns:
        A model from `{"frames": uint8 (B, T, H, W, 3), "mask": bool (B, T)}` to float32 logits
        (B, num_classes); `"flow": uint8 (B, T, H, W, 3)` comes beside the frames or in place of
        them where the input of the model says so.

    Example:
        >>> from pipeline.config import FramesConfig
        >>> model = build_recognizer(RunConfig(frames=FramesConfig(size=32)), num_classes=5)
        >>> model.output_shape
        (None, 5)
    """
    precision = config.train.precision
    with _dtype_policy("float32" if for_export or precision == "auto" else precision):
        return _build(config, num_classes, for_export=for_export)


def _build(config: RunConfig, num_classes: int, *, for_export: bool) -> keras.Model:
    inputs = _inputs(config)
    logits = []
    for stream in config.model.streams:
        features = _frame_features(inputs, stream, config, skip_padding=not for_export)
        # Small, and its sums over time need the bits.
        with _dtype_policy("float32"):
            temporal = _temporal(
                config, stream, features.shape[-1], num_classes, for_export=for_export
            )
        logits.append(temporal({"features": features, "mask": inputs["mask"]}))
    fused = logits[0] if len(logits) == 1 else layers.Average(dtype="float32")(logits)
    return keras.Model(inputs, fused, name="recognizer")


def _inputs(config: RunConfig) -> dict[str, keras.KerasTensor]:
    size, length = config.frames.size, config.clip.num_frames
    shape = (length, size, size, 3)
    inputs = {name: layers.Input(shape, dtype="uint8", name=name) for name in config.model.images}
    return {**inputs, "mask": layers.Input((length,), dtype="bool", name="mask")}


def _frame_features(
    inputs: dict[str, keras.KerasTensor], stream: str, config: RunConfig, *, skip_padding: bool
) -> keras.KerasTensor:
    stage = InputStage(stream, gain=config.model.difference_gain, name=f"{stream}_input")
    pixels = stage(inputs[STREAMS[stream].image.name])
    backbone = build_backbone(config, stream, tuple(pixels.shape[2:]))
    per_frame = TimeDistributed(backbone, skip_padding=skip_padding, name=f"{stream}_features")
    return per_frame(pixels, mask=inputs["mask"])


def _temporal(
    config: RunConfig, stream: str, num_features: int, num_classes: int, *, for_export: bool
) -> keras.Model:
    """A model from `{"features": float (B, T, F), "mask": bool (B, T)}` to logits."""
    length = config.clip.num_frames
    inputs = {
        "features": layers.Input((length, num_features), name="features"),
        "mask": layers.Input((length,), dtype="bool", name="mask"),
    }
    features, mask = inputs["features"], inputs["mask"]
    backbone = config.backbone_of(stream)
    if backbone.normalise_features:
        normalise = BatchNormalization(momentum=backbone.momentum, name="normalise")
        features = normalise(features, mask=mask)
    features = layers.Dropout(config.temporal.dropout)(features)
    summary = summarise(features, mask, config, unroll=for_export)
    summary = layers.Dropout(config.model.dropout)(summary)
    head = layers.Dense(
        num_classes, kernel_regularizer=penalty(config.model), dtype="float32", name="head"
    )
    return keras.Model(inputs, head(summary), name=f"{stream}_temporal")


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def float32_twin(model: keras.Model, config: RunConfig, *, for_export: bool = False) -> keras.Model:
    """Builds the network of a model once more, with the same weights, to compute in float32.

    Args:
        model: The recogniser.
        config: Its run.
        for_export: See `build_recognizer`.

    Raises:
        DataError: The model is not that of the run.
    """
    # The weights come from the model; those that it started from may not be there any more.
    train = dataclasses.replace(config.train, precision="float32")
    config = dataclasses.replace(config.with_backbones(weights="none"), train=train)
    twin = build_recognizer(config, model.output_shape[-1], for_export=for_export)
    try:
        twin.set_weights(model.get_weights())
    except ValueError:
        raise DataError("the model does not fit the config.toml beside it. Train again") from None
    return twin


def load_recognizer(
    path: Path, config: RunConfig | None = None, num_classes: int | None = None
) -> keras.Model:
    """Loads a model that a run saved; importing this module has registered its layers.

    Args:
        path: The file.
        config: The configuration that its input must fit.
        num_classes: The number of logits that it must have.

    Raises:
        DataError: The file is missing or damaged, or is another model.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
        found = {name: tuple(image.shape) for name, image in model.input.items()}
        num_logits = model.output_shape[-1]
        for layer in model.layers:
            layer.name = layer_name(layer.name)
    except Exception:  # what Keras raises depends on what is wrong in the file
        problem = "not a model of a run, or damaged" if path.exists() else "missing"
        raise DataError(f"{path}: {problem}. Train again: {command('train')}") from None
    if config:
        wanted = {name: tuple(image.shape) for name, image in _inputs(config).items()}
        if (found, num_logits) != (wanted, num_classes):
            raise DataError(f"{path}: does not fit the config.toml beside it. Train again")
    return model
