"""The whole network: configuration and number of classes -> keras.Model."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import keras
from keras import layers, ops

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.models.backbones import build_backbone, external_backbone
from pipeline.models.individuals import Individuals
from pipeline.models.layers import (
    BatchNormalization,
    InputStage,
    TimeDistributed,
    normalisations,
    penalty,
)
from pipeline.models.tcn import correct
from pipeline.models.temporal import summarise
from pipeline.streams import IMAGES, STREAMS
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
        (B, num_classes), or (B, T, num_classes) where there is an answer at every frame, those of
        the last stage; `"flow": uint8 (B, T, H, W, 3)` comes beside the frames or in place of
        them where the input of the model says so. A stream whose backbone is external takes
        what that gives, `"STREAM_features": float32 (B, T, F)`.

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
        features = (
            inputs[f"{stream}_features"]
            if stream in config.external
            else _frame_features(inputs, stream, config, skip_padding=not for_export)
        )
        # Small, and its sums over time need the bits.
        with _dtype_policy("float32"):
            temporal = _temporal(
                config, stream, features.shape[-1], num_classes, for_export=for_export
            )
        logits.append(temporal({"features": features, "mask": inputs["mask"]}))
    return keras.Model(inputs, _average(logits), name="recognizer")


def trained_model(recognizer: keras.Model, config: RunConfig) -> keras.Model:
    """The network as it is fitted, which gives all logits that have a loss; it has the same layers.

    Returns:
        A model of what the recogniser takes to what `trained_logits` gives; the recogniser itself
        where that is the same.
    """
    if _num_stages(config) == 1 and not config.model.trained_apart:
        return recognizer
    names = [f"{stream}_features" for stream in config.model.streams]
    features = {name: recognizer.get_layer(name).output for name in names}
    logits = trained_logits(recognizer, {**features, "mask": recognizer.input["mask"]}, config)
    return keras.Model(recognizer.input, logits, name="trained_model")


def trained_logits(
    recognizer: keras.Model,
    inputs: Mapping[str, keras.KerasTensor],
    config: RunConfig,
    *,
    as_fitted: bool = True,
) -> keras.KerasTensor:
    """The logits that are fitted, of `STREAM_features` float (B, T, F) and `mask` bool (B, T).

    Args:
        recognizer: The network.
        inputs: By name.
        config: Its run.
        as_fitted: False: those that the recogniser gives.

    Returns:
        float32 (B, C); where there is an answer at every frame, (B, T, C); of several stages,
        (B, S, T, C). Of streams that are trained apart, one of these for each on the second axis.
    """
    logits = []
    for stream in config.model.streams:
        part = recognizer.get_layer(f"{stream}_temporal")
        if as_fitted and _num_stages(config) > 1:
            heads = [part.get_layer(name).output for name in _heads(config)]
            part = keras.Model(part.input, ops.stack(heads, axis=1), name=part.name)
        logits.append(part({"features": inputs[f"{stream}_features"], "mask": inputs["mask"]}))
    apart = as_fitted and config.model.trained_apart
    return ops.stack(logits, axis=1) if apart else _average(logits)


def _average(logits: list[keras.KerasTensor]) -> keras.KerasTensor:
    return logits[0] if len(logits) == 1 else layers.Average(dtype="float32")(logits)


def _num_stages(config: RunConfig) -> int:
    """How often the logits of a stream are computed, each time from those before."""
    return config.temporal.stages if config.model.per_frame else 1


def _heads(config: RunConfig) -> list[str]:
    """The layers that give the logits of the stages."""
    return ["head", *(f"head_{number}" for number in range(2, _num_stages(config) + 1))]


def _inputs(config: RunConfig) -> dict[str, keras.KerasTensor]:
    length, frames = config.clip.num_frames, config.frames.only(config.model.images)
    others = {f"{stream}_features": external_backbone(config, stream) for stream in config.external}
    own = [STREAMS[name].image.name for name in config.model.streams if name not in config.external]
    inputs = {
        name: layers.Input(
            (length, *IMAGES[name].shape(frames)), dtype=IMAGES[name].dtype, name=name
        )
        for name in config.model.images
        if name in own
    }
    for name, network in others.items():
        inputs[name] = layers.Input((length, network.num_features), dtype="float32", name=name)
    return {**inputs, "mask": layers.Input((length,), dtype="bool", name="mask")}


def _frame_features(
    inputs: dict[str, keras.KerasTensor], stream: str, config: RunConfig, *, skip_padding: bool
) -> keras.KerasTensor:
    # Numbers, other than the bytes of pictures, are not exact in half precision.
    is_picture = STREAMS[stream].is_picture
    with _dtype_policy(keras.config.dtype_policy() if is_picture else "float32"):
        stage = InputStage(stream, gain=config.model.difference_gain, name=f"{stream}_input")
        pixels = stage(inputs[STREAMS[stream].image.name])
        backbone = build_backbone(config, stream, tuple(pixels.shape[2:]))
        for norm in normalisations(backbone):
            norm.synchronized = config.backbone_of(stream).synchronised
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
    if not STREAMS[stream].is_picture:
        individuals = Individuals(
            config.frames.pose, is_sorted=config.sorts_people, name="individuals"
        )
        features = individuals(features, mask=mask)
    backbone = config.backbone_of(stream)
    if backbone.normalise_features:
        normalise = BatchNormalization(
            momentum=backbone.momentum, synchronized=backbone.synchronised, name="normalise"
        )
        features = normalise(features, mask=mask)
    if config.temporal.kind != "stats":  # What is dropped would look like change.
        features = layers.Dropout(config.temporal.dropout)(features)
    summary = summarise(features, mask, config, unroll=for_export)
    summary = layers.Dropout(config.model.dropout)(summary)
    first, *others = (
        layers.Dense(num_classes, kernel_regularizer=penalty(config.model), name=name)
        for name in _heads(config)
    )
    logits = first(summary)
    for head in others:
        logits = head(correct(logits, mask, config))
    return keras.Model(inputs, logits, name=f"{stream}_temporal")


@contextmanager
def _dtype_policy(name: str | keras.DTypePolicy) -> Iterator[None]:
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
    _number_layers(twin)
    return twin


def _number_layers(model: keras.Model) -> None:
    """Numbers the layers that Keras named, which counts all that there ever were in the process.

    So the same weights give the same bytes when they are exported.
    """
    counts: Counter[str] = Counter()
    for layer in model._flatten_layers():
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            layer.name = f"{kind}_{counts[kind]}"
            counts[kind] += 1


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
        shape = model.output_shape
    except Exception:  # what Keras raises depends on what is wrong in the file
        problem = "not a model of a run, or damaged" if path.exists() else "missing"
        raise DataError(f"{path}: {problem}. Train again: {command('train')}") from None
    if config:
        wanted = {name: tuple(image.shape) for name, image in _inputs(config).items()}
        length = [config.clip.num_frames] if config.model.per_frame else []
        if (found, shape) != (wanted, (None, *length, num_classes)):
            raise DataError(f"{path}: does not fit the config.toml beside it. Train again")
    return model
