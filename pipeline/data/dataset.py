"""From videos to batches of clips: only the frames of a clip are ever decoded."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.data.clips import FixedClip, RandomClip
from pipeline.data.manifest import Split
from pipeline.data.sampling import Order
from pipeline.data.videos import ClipSource, Data, read_videos

SHUFFLE_VIDEOS = 1024


def training_batches(
    data: ClipSource, config: RunConfig, *, first_step: int = 0
) -> tf.data.Dataset:
    """Endless batches of randomly cut and augmented training clips.

    Every epoch shows each training video once, in a new order; batches run on across the border
    of two epochs, so that all have the same size. The clip that is cut of a video depends on the
    seed, the epoch and the video alone.

    Args:
        data: The videos.
        config: The run; its seed, clip, augment and train.batch_size count here.
        first_step: How many batches are left out at the beginning, for a training that goes on;
            none of their frames is decoded.

    Returns:
        Batches `{"frames": uint8 (B, T, H, W, 3), "mask": bool (B, T)}, label int64 (B,)`; `flow`,
        of the same shape, comes beside the frames or in place of them where the model takes it.
    """
    batch_size = min(config.train.batch_size, epoch_size(data, config))
    clip = RandomClip(config, data.frames.size, data.class_names, epoch_size(data, config))
    clips = _endless(data, config, first_step * batch_size).map(
        clip, num_parallel_calls=tf.data.AUTOTUNE
    )
    return clips.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def epoch_size(data: ClipSource, config: RunConfig) -> int:
    """Clips of an epoch: each training video once, or each class as often as the largest."""
    if not config.train.balanced:
        return data.num_videos["train"]
    counts = Counter(row.label for row in data.manifest.rows if row.split == "train")
    return len(counts) * max(counts.values())


def _endless(data: ClipSource, config: RunConfig, first: int) -> tf.data.Dataset:
    """Epoch after epoch of videos, from the clip with the number `first` on.

    Returns:
        Pairs `(position, (index, video))`: the number of the clip, counted through all epochs,
        and the index of the video; where one is shown more than once in an epoch, each time has
        an index of its own.
    """
    videos = read_videos(data, "train", config).enumerate()
    size = epoch_size(data, config)
    repeated = _Balanced(videos, size) if config.train.balanced else None

    def epoch_of(epoch: tf.Tensor) -> tf.data.Dataset:
        # Within the graph of this function; with a global seed of 0 there can be no other.
        tf.compat.v1.set_random_seed(config.seed + 1)
        shown = repeated(epoch) if repeated else videos
        return shown.shuffle(min(size, SHUFFLE_VIDEOS), epoch, reshuffle_each_iteration=False)

    epoch, done = divmod(first, size)
    endless = tf.data.Dataset.range(epoch, np.iinfo(np.int64).max).flat_map(epoch_of)
    return endless.skip(done).enumerate(first)


class _Balanced:
    """epoch -> the videos of it, each class as often as the largest one."""

    def __init__(self, videos: tf.data.Dataset, epoch_size: int) -> None:
        self._videos = videos
        labels = np.array(list(videos.map(lambda _, video: video["label"])), int)
        counts = np.bincount(labels)
        self._times, self._rest = np.divmod(epoch_size // np.count_nonzero(counts), counts[labels])
        self._count = counts[labels]
        # The number of a video among those of its class.
        self._rank = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])

    def __call__(self, epoch: tf.Tensor) -> tf.data.Dataset:
        # What does not divide evenly goes round from epoch to epoch.
        more = (self._rank + epoch * self._rest) % self._count < self._rest
        times = self._times + tf.cast(more, tf.int64)

        def repeat(index: tf.Tensor, video: Any) -> tf.data.Dataset:
            copies = tf.data.Dataset.range(times[index])
            return copies.map(lambda copy: (index + copy * len(self._rank), video))

        return self._videos.flat_map(repeat)


def augmented_clips(data: Data, config: RunConfig, *, epoch: int) -> tf.data.Dataset:
    """Each training video once, in a fixed order, as training sees it in one epoch.

    Args:
        data: The videos.
        config: The run; its seed, clip and augment count here.
        epoch: Number of the epoch, from 0.

    Returns:
        Pairs `({"frames": uint8 (T, H, W, 3), "mask": bool (T,)}, label int64 ())`.
    """
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, balanced=False))
    size = epoch_size(data, config)
    clip = RandomClip(config, data.frames.size, data.class_names, size)
    videos = read_videos(data, "train", config).enumerate()
    return videos.map(lambda *video: clip(tf.constant(epoch * size, tf.int64), video))


def evaluation_clips(
    data: ClipSource,
    config: RunConfig,
    split: Split,
    *,
    view: int | None = None,
    order: Order = "in_order",
    most: int | None = None,
) -> tf.data.Dataset:
    """Each video of a split once, in a fixed order, as the clip that is always cut of it.

    Args:
        data: The videos.
        config: The run; its seed, clip and train.batch_size count here.
        split: Which videos.
        view: Which of the `clip.views` clips of each video; None: the middle one.
        order: Order of the frames within the clip. Optical flow goes with its frame: `reversed`
            turns its vectors round; `shuffled` leaves them, and each still says which way things
            moved towards its frame.
        most: Real frames in a clip, at most; None: as many as a clip has.

    Returns:
        Batches `(inputs, label, source)`, inputs and label as those of `training_batches`, source
        `{"video": string (B,), "group": string (B,)}`; the last batch holds what is left.
    """
    clip = FixedClip(config, data.frames.size, view, order, most)
    videos = read_videos(data, split, config).enumerate()
    clips = videos.map(clip, num_parallel_calls=tf.data.AUTOTUNE)
    return clips.batch(config.train.batch_size).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(data: ClipSource, config: RunConfig, split: Split) -> tf.data.Dataset:
    """What `evaluation_clips` gives, as the pairs `(inputs, label)` that Keras takes."""
    return evaluation_clips(data, config, split).map(lambda inputs, label, _: (inputs, label))
