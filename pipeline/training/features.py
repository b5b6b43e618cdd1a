"""Training the temporal part alone, on features that a frozen backbone gave once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.config.model import Stream, image_of
from pipeline.data.features import (
    FOLDER,
    FeatureFile,
    Features,
    FeatureVideos,
    Images,
    open_features,
    write_features,
)
from pipeline.data.store import Store, open_store
from pipeline.data.videos import Data, read_records
from pipeline.errors import ConfigError
from pipeline.text import counted


def cached_features(recognizer: keras.Model, config: RunConfig, data: Data) -> FeatureVideos:
    """The features of all frames of a data set, computed now or before.

    They are kept in its folder `features`, by what they depend on: the videos, the backbone with
    its weights, and whether mirror images are needed.

    Args:
        recognizer: The network, with a frozen backbone.
        config: The run.
        data: Its videos.

    Raises:
        ConfigError: The videos come straight from their files.
    """
    if not isinstance(data, Store):
        raise ConfigError(
            "train.cache_features needs a prepared data set to keep features in: "
            f"python scripts/prepare.py --source csv --path {data.path} --out data/NAME"
        )
    files = {
        f"{stream}_features": _features_of(stream, recognizer, config, data)
        for stream in config.model.streams
    }
    return FeatureVideos(data, files)


def temporal_part(recognizer: keras.Model, config: RunConfig) -> keras.Model:
    """The temporal part of a network as a model of its own; its weights are the same.

    Returns:
        A model from `{"STREAM_features": float (B, T, F), "mask": bool (B, T)}` to logits (B, C).
    """
    mask = keras.layers.Input((config.clip.num_frames,), dtype="bool", name="mask")
    inputs, logits = {"mask": mask}, []
    for stream in config.model.streams:
        name = f"{stream}_features"
        part = recognizer.get_layer(f"{stream}_temporal")
        inputs[name] = keras.layers.Input(part.input["features"].shape[1:], name=name)
        logits.append(part({"features": inputs[name], "mask": mask}))
    fused = logits[0] if len(logits) == 1 else keras.layers.Average(dtype="float32")(logits)
    return keras.Model(inputs, fused, name="temporal_part")


def _features_of(
    stream: Stream, recognizer: keras.Model, config: RunConfig, store: Store
) -> FeatureFile:
    mirrored = config.augment.flip > 0
    path = store.path / FOLDER / f"{stream}-{_key(stream, recognizer, config, mirrored)}.f32"
    features = open_features(path)
    if features is None:
        extract = _extractor(stream, recognizer, mirrored=mirrored)
        records = read_records(store, store.frames).as_numpy_iterator()
        features = write_features(path, records, image_of(stream), extract)
        frames = counted(features.shape[0], "frame")
        print(f"{path}: features of {frames}, {path.stat().st_size / 1e6:,.0f} MB", flush=True)
    return features


def _key(stream: Stream, recognizer: keras.Model, config: RunConfig, mirrored: bool) -> str:
    """Changes with everything that the features depend on."""
    layer = recognizer.get_layer(f"{stream}_features")
    videos = open_store(Path(config.data)).fingerprint  # whatever its splits are
    settings = [videos, mirrored, config.train.precision, dataclasses.asdict(config.backbone)]
    mark = hashlib.sha256(json.dumps(settings).encode())
    for weight in layer.weights:
        mark.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return mark.hexdigest()[:16]


def _extractor(
    stream: Stream, recognizer: keras.Model, *, mirrored: bool
) -> Callable[[Images], Features]:
    """From uint8 (N, H, W, 3) to features float32 (N, 1 or 2, F), as the network computes them."""
    stage = recognizer.get_layer(f"{stream}_input")
    backbone = recognizer.get_layer(f"{stream}_features").layer

    @tf.function(reduce_retracing=True)
    def compute(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(backbone(stage(images[None])[0], training=False), tf.float32)

    def extract(images: Images) -> Features:
        variants = [images, _mirror(images, stream)] if mirrored else [images]
        return np.stack([compute(tf.constant(each)).numpy() for each in variants], axis=1)

    return extract


def _mirror(images: Images, stream: Stream) -> npt.NDArray[np.uint8]:
    """The mirror images; what moved to the right in optical flow moves to the left."""
    mirrored = images[:, :, ::-1].copy()
    if stream == "flow":
        mirrored[..., 0] = 256 - np.maximum(mirrored[..., 0].astype(int), 1)
    return mirrored
