"""From a prepared data set to batches of clips: only the frames of a clip are ever decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pipeline.config import RunConfig
from pipeline.data import augment, sampling
from pipeline.data.manifest import Split
from pipeline.data.sampling import Order
from pipeline.data.store import Store

SHUFFLE_VIDEOS = 1024


def training_batches(store: Store, config: RunConfig, *, first_epoch: int = 0) -> tf.data.Dataset:
    """Endless batches of randomly cut and augmented training clips.

    Every epoch shows each training video once, in a new order; batches run on across the border
    of two epochs, so that all have the same size. The clip that is cut of a video depends on the
    seed, the epoch and the video alone.

    Args:
        store: The prepared data set.
        config: The run; its seed, clip, augment and train.batch_size count here.
        first_epoch: Epoch to start from.

    Returns:
        Batches `{"frames": uint8 (B, T, H, W, 3), "mask": bool (B, T)}, label int64 (B,)`.
    """
    videos = _videos(store, "train")
    num_videos = store.num_videos["train"]

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        shuffled = videos.shuffle(min(num_videos, SHUFFLE_VIDEOS), seed=config.seed + epoch)
        return shuffled.map(lambda index, video: (epoch, index, video))

    clips = (
        tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max)
        .flat_map(one_epoch)
        .map(_RandomClip(config, store.frames.size), num_parallel_calls=tf.data.AUTOTUNE)
    )
    batches = clips.batch(min(config.train.batch_size, num_videos), drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    store: Store,
    config: RunConfig,
    split: Split,
    *,
    view: int = 0,
    order: Order = "in_order",
) -> tf.data.Dataset:
    """Each video of a split once, in a fixed order, as the clip that is always cut of it.

    Args:
        store: The prepared data set.
        config: The run; its seed, clip and train.batch_size count here.
        split: Which videos.
        view: Which of the `clip.views` clips of each video.
        order: Order of the frames within the clip.

    Returns:
        Batches as those of `training_batches`; the last one holds what is left.
    """
    clips = _videos(store, split).map(
        _FixedClip(config, store.frames.size, view, order), num_parallel_calls=tf.data.AUTOTUNE
    )
    return clips.batch(config.train.batch_size).prefetch(tf.data.AUTOTUNE)


def _videos(store: Store, split: Split) -> tf.data.Dataset:
    """Pairs of (index within the split, {"frames": JPEG strings (N,), "label": int64})."""
    decoders = tfds.decode.PartialDecoding(
        {"frames": True, "label": True}, decoders={"frames": tfds.decode.SkipDecoding()}
    )
    videos = store.builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
    return videos.enumerate()


class _RandomClip:
    """(epoch, index, video) -> augmented clip."""

    def __init__(self, config: RunConfig, size: int) -> None:
        self._config, self._size = config, size

    def __call__(self, epoch: tf.Tensor, index: tf.Tensor, video: dict[str, tf.Tensor]) -> Any:
        def choose(num_frames: int, epoch: int, index: int) -> tuple[Any, ...]:
            config = self._config
            rng = np.random.default_rng((config.seed, epoch, index))
            indices, mask = sampling.sample_clip(int(num_frames), config.clip, rng=rng)
            return indices, mask, *augment.draw(config.augment, self._size, rng)

        indices, mask, *drawn = tf.numpy_function(
            choose,
            (tf.size(video["frames"]), epoch, index),
            (tf.int64, tf.bool, tf.float32, tf.float32, tf.float32),
        )
        inputs, label = _clip(video, indices, mask, self._config.clip.num_frames, self._size)
        inputs["frames"] = augment.apply(inputs["frames"], augment.Augmentation(*drawn))
        return inputs, label


class _FixedClip:
    """(index, video) -> the clip that evaluation cuts of it."""

    def __init__(self, config: RunConfig, size: int, view: int, order: Order) -> None:
        self._config, self._size, self._view, self._order = config, size, view, order

    def __call__(self, index: tf.Tensor, video: dict[str, tf.Tensor]) -> Any:
        def choose(num_frames: int, index: int) -> tuple[Any, ...]:
            config = self._config
            indices, mask = sampling.sample_clip(int(num_frames), config.clip, view=self._view)
            rng = np.random.default_rng((config.seed, index))
            return sampling.reorder(indices, mask, self._order, rng)

        indices, mask = tf.numpy_function(
            choose, (tf.size(video["frames"]), index), (tf.int64, tf.bool)
        )
        return _clip(video, indices, mask, self._config.clip.num_frames, self._size)


def _clip(
    video: dict[str, tf.Tensor], indices: tf.Tensor, mask: tf.Tensor, num_frames: int, size: int
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Decodes the chosen frames; one unrolled decode each is faster than `tf.map_fn`."""
    jpegs = tf.gather(video["frames"], tf.ensure_shape(indices, (num_frames,)))
    frames = [
        tf.io.decode_jpeg(jpegs[i], channels=3, dct_method="INTEGER_ACCURATE")
        for i in range(num_frames)
    ]
    inputs = {
        "frames": tf.ensure_shape(tf.stack(frames), (num_frames, size, size, 3)),
        "mask": tf.ensure_shape(mask, (num_frames,)),
    }
    return inputs, video["label"]
