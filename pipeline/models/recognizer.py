"""The whole network: configuration and number of classes -> keras.Model."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import keras
from keras import layers

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.models import backbones, temporal
from pipeline.models.layers import InputStage, TimeDistributed


def build_recognizer(
    config: RunConfig, num_classes: int, *, for_export: bool = False
) -> keras.Model:
    """Builds the model of a run, not compiled, with new weights.

    Args:
        config: The run; `frames.size` and `clip.num_frames` fix the shape of its input.
        num_classes: Number of logits.
        for_export: Whether all shapes are static and the LSTM is unrolled, as converters need.
            The weights and what they compute at inference are the same.

    Returns:
        A model from `{"frames": uint8 (B, T, H, W, 3), "mask": bool (B, T)}` to float32 logits
        (B, num_classes).

    Example:
        >>> from pipeline.config import FramesConfig
        >>> model = build_recognizer(RunConfig(frames=FramesConfig(size=32)), num_classes=5)
        >>> model.output_shape
        (None, 5)
    """
    size, length = config.frames.size, config.clip.num_frames
    frames = layers.Input((length, size, size, 3), dtype="uint8", name="frames")
    mask = layers.Input((length,), dtype="bool", name="mask")

    pixels = InputStage(config.model.input, gain=config.model.difference_gain, name="input_stage")(
        frames
    )
    backbone = backbones.cnn(config.model, tuple(pixels.shape[2:]))
    per_frame = TimeDistributed(backbone, skip_padding=not for_export, name="frame_features")
    features = per_frame(pixels, mask=mask)
    features = layers.Dropout(config.model.dropout)(features)
    summary = temporal.lstm(features, mask, config.model, unroll=for_export)
    summary = layers.Dropout(config.model.dropout)(summary)
    head = layers.Dense(
        num_classes,
        kernel_regularizer=backbones.penalty(config.model),
        dtype="float32",
        name="head",
    )
    return keras.Model({"frames": frames, "mask": mask}, head(summary), name="recognizer")


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
    except (ValueError, OSError, BadZipFile):
        problem = "not a model of a run, or damaged" if path.exists() else "missing"
        raise DataError(f"{path}: {problem}. Train again: python scripts/train.py") from None
    if config:
        size, length = config.frames.size, config.clip.num_frames
        shapes = tuple(model.input["frames"].shape), model.output_shape[-1]
        if shapes != ((None, length, size, size, 3), num_classes):
            raise DataError(f"{path}: does not fit the config.toml beside it. Train again")
    return model
