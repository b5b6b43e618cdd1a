"""From a video to a clip: which of its frames, and what happens to them, inside tf.data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from pipeline.config import FramesConfig, RunConfig
from pipeline.dataset import sampling
from pipeline.dataset.augment.draw import PIXEL_TYPES, Pixels, draw
from pipeline.dataset.augment.pixels import change_clip
from pipeline.dataset.sampling import Order, window_frames
from pipeline.manifest.annotation import IGNORED_LABEL
from pipeline.streams import IMAGES, STREAMS, StoredImage


class ReadFrames(Protocol):
    """See `pipeline.dataset.videos.VideoReader`."""

    @property
    def is_of_features(self) -> bool:
        """Whether features are read, by `STREAM_features`, not images."""

    def __call__(self, number: tf.Tensor, frames: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Reads frames of a video by their numbers."""


_SOURCE = ("video", "group", "first_frame")
"""What is told of where a clip comes from."""
_SEVERAL = np.int64(-1)
"""In place of the one label of a video that may have several."""


def random_clip(
    config: RunConfig,
    frames: FramesConfig,
    class_names: Sequence[str],
    epoch_size: int,
    read: ReadFrames,
) -> Callable[[tf.Tensor, tf.Tensor, Any], Any]:
    """(position in the endless stream, index, video) -> augmented clip and label."""
    when_mirrored = _partners(config.augment.flip_labels, class_names)
    when_reversed = _partners(config.augment.reverse_labels, class_names)
    swapped = [when_mirrored.get(number, number) for number in range(len(class_names))]

    def choose(num_frames: int, position: int, index: int, label: int) -> tuple[Any, ...]:
        rng = np.random.default_rng((config.seed, position // epoch_size, index))
        drawn = draw(config.augment, frames.side, rng)
        if drawn.mirrored:
            label = when_mirrored.get(label, label)
        backwards = drawn.reverse and label in when_reversed
        if backwards:
            label = when_reversed[label]
        indices, mask = sampling.sample_clip(
            int(num_frames),
            config.clip,
            rng=rng,
            speed=drawn.speed,
            drop=drawn.drop_frames,
            backwards=backwards,
        )
        flags = np.bool_(drawn.mirrored), np.bool_(backwards)
        return np.int64(label), *flags, indices, mask, *drawn.pixels

    def clip(position: tf.Tensor, index: tf.Tensor, video: dict[str, Any]) -> Any:
        is_one = video["label"].shape.rank == 0
        label, mirrored, backwards, indices, mask, *pixels = tf.numpy_function(
            choose,
            (video["num_frames"], position, index, video["label"] if is_one else _SEVERAL),
            (tf.int64, tf.bool, tf.bool, tf.int64, tf.bool, *PIXEL_TYPES),
        )
        backwards = backwards if config.augment.reverse else False
        flags = {"mirrored": mirrored, "backwards": backwards}
        inputs = _clip(video, read, indices, mask, config, frames, **flags)
        if inputs.keys() >= set(config.model.images):
            inputs = change_clip(inputs, Pixels(*pixels), config.augment, frames.key_points)
        if is_one:
            return inputs, tf.ensure_shape(label, ())
        labels = _labels_at(video["label"], indices, inputs["mask"])
        other = tf.gather(labels, swapped, axis=-1)
        return inputs, tf.where(tf.ensure_shape(mirrored, ()), other, labels)

    return clip


def _labels_at(labels: tf.Tensor, indices: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Labels of the frames of a clip, (T, C), of those of a recording; of a video they stay."""
    if labels.shape.rank < 2:
        return labels
    chosen = tf.ensure_shape(tf.gather(labels, indices), (*mask.shape, labels.shape[-1]))
    return tf.where(mask[:, None], chosen, tf.constant(IGNORED_LABEL, tf.uint8))


def _partners(pairs: tuple[tuple[str, str], ...], class_names: Sequence[str]) -> dict[int, int]:
    """The label that becomes of each label in a pair."""
    numbers = [tuple(map(class_names.index, pair)) for pair in pairs]
    return {label: other for a, b in numbers for label, other in ((a, b), (b, a))}


def fixed_clip(
    config: RunConfig,
    frames: FramesConfig,
    view: int | None,
    order: Order,
    most: int | None,
    read: ReadFrames,
) -> Callable[[dict[str, Any]], Any]:
    """A video -> the clip that evaluation cuts of it, its label, and where it comes from."""

    def choose(num_frames: int, index: int) -> tuple[Any, ...]:
        if config.model.per_frame:
            return window_frames(int(num_frames), config.clip)
        indices, mask = sampling.sample_clip(int(num_frames), config.clip, view=view, most=most)
        return sampling.reorder(indices, mask, order, np.random.default_rng((config.seed, index)))

    def clip(video: dict[str, Any]) -> Any:
        index = video["number"]
        indices, mask = tf.numpy_function(choose, (video["num_frames"], index), (tf.int64, tf.bool))
        inputs = _clip(video, read, indices, mask, config, frames, backwards=order == "reversed")
        source = {name: video[name] for name in _SOURCE if name in video}
        return inputs, _labels_at(video["label"], indices, inputs["mask"]), source

    return clip


def _clip(
    video: dict[str, Any],
    read: ReadFrames,
    indices: tf.Tensor,
    mask: tf.Tensor,
    config: RunConfig,
    frames: FramesConfig,
    *,
    mirrored: tf.Tensor | bool = False,
    backwards: tf.Tensor | bool = False,
) -> dict[str, tf.Tensor]:
    """Inputs of the model for the chosen frames: decoded images, or their features by stream."""
    length = (config.clip.num_frames,)
    indices = tf.ensure_shape(indices, length)
    motion = indices
    if backwards is not False:
        backwards = tf.ensure_shape(backwards, ())
        motion = tf.where(backwards, _leading_back(indices, video["num_frames"]), indices)
    clip = {"mask": tf.ensure_shape(mask, length)}
    of_features = {f"{name}_features": STREAMS[name].image for name in config.model.streams}
    images = of_features if read.is_of_features else {n: IMAGES[n] for n in config.model.images}
    wanted = {name: motion if image.is_motion else indices for name, image in images.items()}
    for name, found in read(video["number"], wanted).items():
        image = images[name]
        if read.is_of_features:
            clip[name] = _variant(found, mirrored, backwards if image.is_motion else False)
            continue
        shown = image.decode_tensors(found, frames)
        if isinstance(image, StoredImage) and image.is_motion and backwards is not False:
            # Nothing moves into the frame that is shown first, whatever came before it in its file.
            is_first = (motion == 0)[:, None, None, None]
            still = tf.constant(image.erased, tf.uint8)
            back = tf.where(is_first, still, image.turned(shown, backwards=True))
            shown = tf.where(backwards, back, shown)
        clip[name] = shown
    return clip


def _leading_back(indices: tf.Tensor, num_frames: tf.Tensor) -> tf.Tensor:
    """Of which frames the flow, negated, leads to these ones in a video that is shown backwards.

    Stored flow leads to its frame from the one before. Backwards, a frame comes after the one that
    follows it, and the flow between the two is that one's. The last frame comes first, without
    motion, as the first frame is stored.
    """
    return (indices + 1) % tf.cast(num_frames, indices.dtype)


def _variant(
    features: tf.Tensor, mirrored: tf.Tensor | bool, backwards: tf.Tensor | bool
) -> tf.Tensor:
    """One of the variants of features (T, variants, F), see `FeatureFile`."""
    num_variants = features.shape[1]
    if num_variants == 1:
        return features[:, 0]
    number = tf.cast(mirrored, tf.int32) + num_variants // 2 * tf.cast(backwards, tf.int32)
    return tf.gather(features, tf.ensure_shape(number, ()), axis=1)
