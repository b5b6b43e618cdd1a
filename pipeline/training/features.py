"""Training the temporal part alone, on features that a frozen backbone gave once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.config import AugmentConfig, BackboneConfig, RunConfig
from pipeline.dataset.stored_features import (
    FOLDER,
    FeatureFile,
    Features,
    FeatureVideos,
    Images,
    Span,
    open_features,
    spans_of,
    write_features,
)
from pipeline.frames.chunks import StoredVideo
from pipeline.locks import in_turn
from pipeline.models.backbones import external_backbone
from pipeline.models.recognizer import trained_logits, trained_model
from pipeline.native_log import silent_native_log
from pipeline.networks import LiteRTFile
from pipeline.prepare.prepared import PreparedDataset
from pipeline.streams import STREAMS, StoredImage
from pipeline.text import counted
from pipeline.workers.pool import num_cores

_MANY_FRAMES = 1000
"""From so many on, LiteRT saves more than it takes to convert a network for it: on 2 cores, storing
5,474 frames of 224 pixels takes 47 and 49 s with it, 82 and 77 with TensorFlow (EfficientNet-Lite0,
read and written included)."""


def cached_features(
    recognizer: keras.Model, data: PreparedDataset, config: RunConfig
) -> FeatureVideos:
    """The features of all frames of a data set, computed now or before.

    They are kept in its folder `features`, by what they depend on: the videos, the backbone with
    its weights, and whether mirror images are needed, or motion that runs backwards. Where another
    process is computing the same ones, they are waited for.
    """
    files = {
        f"{stream}_features": _features_of(stream, recognizer, data, config)
        for stream in config.model.streams
    }
    return FeatureVideos.of(data, files)


def fitted_part(
    recognizer: keras.Model, data: PreparedDataset, config: RunConfig
) -> tuple[keras.Model, PreparedDataset]:
    """What of a network is fitted, and on which videos: by features where these are stored."""
    if not config.train.cache_features:
        return trained_model(recognizer, config), data
    return temporal_part(recognizer, config), cached_features(recognizer, data, config)


def on_stored_features(
    recognizer: keras.Model, data: PreparedDataset, config: RunConfig, *, backwards: bool = False
) -> tuple[keras.Model, PreparedDataset]:
    """What gives the answers of a network soonest: its temporal part, where features are stored.

    Args:
        recognizer: The network.
        data: The videos.
        config: The run. Where its features are not those of float32, which the network that was
            kept computes in, they are not used.
        backwards: Whether clips are shown backwards: images of motion are others then.

    Returns:
        The temporal part and the videos by their features; the same network and videos where
        these are not there. Those of external backbones are computed now, if need be.
    """
    if config.external:
        # The network that was kept computes in float32.
        train = dataclasses.replace(config.train, precision="float32")
        config = dataclasses.replace(config, train=train)
        part = temporal_part(recognizer, config, as_fitted=False)
        return part, cached_features(recognizer, data, config)
    train, streams = config.train, config.model.streams
    if not train.cache_features or train.precision != "float32":
        return recognizer, data
    is_motion = any(STREAMS[stream].image.is_motion for stream in streams)
    if backwards and is_motion and not config.augment.reverse:
        return recognizer, data
    files = {}
    for stream in streams:
        features = open_features(_path(stream, recognizer, config, data))
        if not features:
            return recognizer, data
        files[f"{stream}_features"] = features
    return temporal_part(recognizer, config, as_fitted=False), FeatureVideos.of(data, files)


def temporal_part(
    recognizer: keras.Model, config: RunConfig, *, as_fitted: bool = True
) -> keras.Model:
    """The temporal part of a network as a model of its own; its weights are the same.

    Returns:
        A model from `{"STREAM_features": float (B, T, F), "mask": bool (B, T)}` to the logits
        that are fitted, or to those that the recogniser gives, see `trained_logits`.
    """
    mask = keras.layers.Input((config.clip.num_frames,), dtype="bool", name="mask")
    inputs = {"mask": mask}
    for stream in config.model.streams:
        name = f"{stream}_features"
        part = recognizer.get_layer(f"{stream}_temporal")
        inputs[name] = keras.layers.Input(part.input["features"].shape[1:], name=name)
    logits = trained_logits(recognizer, inputs, config, as_fitted=as_fitted)
    return keras.Model(inputs, logits, name="temporal_part")


def _features_of(
    stream: str, recognizer: keras.Model, store: PreparedDataset, config: RunConfig
) -> FeatureFile:
    path = _path(stream, recognizer, config, store)
    features = open_features(path)
    if features:
        return features
    with in_turn(path, "computing"):
        features = open_features(path)  # It may have been another's turn.
        if features:
            return features
        variants = _variants(stream, config.augment)
        width = recognizer.get_layer(f"{stream}_features").output.shape[-1]
        spans = spans_of(store.clips)
        shape = (sum(span.num_frames for span in spans), len(variants), width)
        extract = _extractor(stream, recognizer, config, variants, shape[0])
        frames = dataclasses.replace(store.frames, shrink=config.clip.shrink)
        image = STREAMS[stream].image
        images = _stored_images(store, spans, image.name)
        decode = partial(image.decode, frames=frames)
        features = write_features(path, spans, images, decode, extract, shape=shape)
    number = counted(features.shape[0], "frame")
    print(f"{path}: features of {number}, {path.stat().st_size / 1e6:,.0f} MB", flush=True)
    return features


def _stored_images(store: PreparedDataset, spans: Sequence[Span], image: str) -> Iterator[bytes]:
    """What is stored of each frame of some spans, one after the other."""
    for span in spans:
        video = StoredVideo(store.frames_folder, span.frames)
        for number in range(span.first, span.first + span.num_frames):
            yield video.read([number], [image])[0][0]


def _variants(stream: str, augment: AugmentConfig) -> tuple[str, ...]:
    """Variants that augmentation can make of a frame, in the order of `FeatureFile`."""
    mirrored = ("plain", "mirrored") if augment.flip else ("plain",)
    backwards = augment.reverse > 0 and STREAMS[stream].image.is_motion
    return (*mirrored, *(f"{name} backwards" for name in mirrored if backwards))


def _path(stream: str, recognizer: keras.Model, config: RunConfig, store: PreparedDataset) -> Path:
    """The file of the features; its name changes with everything that they depend on."""
    layer = recognizer.get_layer(f"{stream}_features")
    backbone = _backbone_mark(config.backbone_of(stream))
    settings: list[object] = [
        spans_of(store.clips),
        _variants(stream, config.augment),
        config.train.precision,
        backbone,
    ]
    if config.clip.shrink > 1:
        settings.append(config.clip.shrink)
    mark = hashlib.sha256(json.dumps(settings).encode())
    for weight in layer.weights:
        mark.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return store.path / FOLDER / f"{stream}-{mark.hexdigest()[:16]}.f32"


def _backbone_mark(config: BackboneConfig) -> dict[str, Any]:
    """What features depend on of a backbone, besides its weights."""
    if config.is_external:
        content = hashlib.sha256(Path(config.name).read_bytes())
        return {**dataclasses.asdict(config.reading), "sha256": content.hexdigest()}
    others = ("mean", "std", "channels", "synchronised")
    return {name: each for name, each in dataclasses.asdict(config).items() if name not in others}


def _extractor(
    stream: str,
    recognizer: keras.Model,
    config: RunConfig,
    variants: tuple[str, ...],
    num_frames: int,
) -> Callable[[Images], Features]:
    """From uint8 (N, H, W, 3) to features float32 (N, variants, F), as the network computes."""
    is_float32, on_gpu = config.train.precision == "float32", tf.config.list_physical_devices("GPU")
    compute: Callable[[Images], Features]
    if stream in config.external:
        compute = external_backbone(config, stream, num_threads=num_cores())
    elif num_frames >= _MANY_FRAMES and is_float32 and not on_gpu:
        compute = _by_litert(_own_network(stream, recognizer), recognizer, stream)
    else:
        compute = _by_tensorflow(_own_network(stream, recognizer))
    image = STREAMS[stream].image
    if not isinstance(image, StoredImage):
        raise TypeError("expected a stream of pictures")

    def extract(images: Images) -> Features:
        given = tf.constant(images)
        changed = (
            image.turned(given, mirrored="mirrored" in variant, backwards="backwards" in variant)
            for variant in variants
        )
        return np.stack([compute(each.numpy()) for each in changed], axis=1)

    return extract


def _own_network(stream: str, recognizer: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """The input stage and the backbone of a stream: from uint8 (N, H, W, 3) to float32 (N, F)."""
    stage = recognizer.get_layer(f"{stream}_input")
    backbone = recognizer.get_layer(f"{stream}_features").layer
    return lambda images: tf.cast(backbone(stage(images[None])[0], training=False), tf.float32)


def _by_tensorflow(compute: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[Images], Features]:
    traced = tf.function(compute, reduce_retracing=True)
    return lambda images: np.asarray(traced(tf.constant(images)))


def _by_litert(
    compute: Callable[[tf.Tensor], tf.Tensor], recognizer: keras.Model, stream: str
) -> Callable[[Images], Features]:
    shape = recognizer.input[STREAMS[stream].image.name].shape[2:]
    frame = tf.TensorSpec((1, *shape), tf.uint8)
    traced = tf.function(compute).get_concrete_function(frame)
    with silent_native_log():
        content = tf.lite.TFLiteConverter.from_concrete_functions([traced]).convert()
    network = LiteRTFile(content, num_cores()).network()
    (given,), (found,) = network.inputs, network.outputs
    return lambda images: np.concatenate([network({given: each[None]})[found] for each in images])
