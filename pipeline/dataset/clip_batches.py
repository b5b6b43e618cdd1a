"""From videos to batches of clips, and to what Keras' fit is given."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import load_config
from pipeline.dataset.augment.mixing import is_mixing, needed_clips, training_targets
from pipeline.dataset.clips import fixed_clip, random_clip
from pipeline.dataset.order import Order, RepeatingOrder, Share, TrainingOrder, repeat_factors
from pipeline.dataset.sampling import Order as FrameOrder
from pipeline.dataset.videos import (
    AHEAD,
    VideoReader,
    label_numbers,
    label_table,
    open_data,
    read_videos,
    resolve,
    untuned,
)
from pipeline.errors import DataError
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.tasks.task import task_of
from pipeline.workers.pool import num_cores

WHOLE = Share()


def training_batches(
    data: PreparedDataset, config: RunConfig, *, first_step: int = 0, share: Share = WHOLE
) -> tf.data.Dataset:
    """Endless batches of randomly cut and augmented training clips.

    Every epoch shows each training video once, or a clip for each chunk of a recording, in a new
    order, see `pipeline.dataset.order`; batches run on
    across the border of two epochs, so that all have the same size. The clip that is cut of a video
    depends on the seed, the epoch and the video alone.

    Args:
        data: The videos.
        config: The run; its seed, clip, augment and train.batch_size count here.
        first_step: How many batches are left out at the beginning, for a training that goes on;
            none of their videos is read.
        share: What of each batch is read. Where clips of it are mixed with others of their batch,
            these come as well, and the rest of the batch as zeros.

    Returns:
        Batches `{"frames": uint8 (B, T, H, W, 3), "mask": bool (B, T)}, label int64 (B,)`; `flow`,
        of the same shape, comes beside the frames or in place of them where the model takes it.
        Where a video has several classes, labels are uint8 (B, C); of recordings, uint8 (B, T, C),
        see `pipeline.tasks.frames`.
    """
    batch_size, size = size_of_batch(data, config), epoch_size(data, config)
    reader = VideoReader(data, "train", config)
    clip = random_clip(config, _shown(data, config), data.class_names, size, reader)

    def make(position: tf.Tensor, number: tf.Tensor) -> Any:
        return clip(position, number, reader.describe(number % reader.count))

    positions = _endless(_order(data, config), size, first_step * batch_size)
    if share.count > 1 and is_mixing(config):
        clips = _needed(positions, make, config, share, first_step, batch_size)
    elif share.count > 1:
        rows = share.rows(batch_size)
        mine = positions.filter(
            lambda position, _: (
                (position % batch_size >= rows.start) & (position % batch_size < rows.stop)
            )
        )
        clips = mine.map(make, num_parallel_calls=num_cores())
        batch_size = rows.stop - rows.start
    else:
        clips = positions.map(make, num_parallel_calls=num_cores())
    return clips.batch(batch_size, drop_remainder=True).prefetch(AHEAD)


def _needed(
    positions: tf.data.Dataset,
    make: Callable[[tf.Tensor, tf.Tensor], Any],
    config: RunConfig,
    share: Share,
    first_step: int,
    batch_size: int,
) -> tf.data.Dataset:
    """All clips, zeros in place of those that a share of the batch has no use for."""
    spec = positions.map(make).element_spec

    def needed(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> Any:
        draw = functools.partial(needed_clips, config, batch_size, share)
        found = tf.numpy_function(draw, (step,), tf.bool)
        return tf.data.Dataset.from_tensor_slices((*batch, tf.ensure_shape(found, (batch_size,))))

    def read(position: tf.Tensor, number: tf.Tensor, is_needed: tf.Tensor) -> Any:
        nothing = tf.nest.map_structure(lambda each: tf.zeros(each.shape, each.dtype), spec)
        return tf.cond(is_needed, lambda: make(position, number), lambda: nothing)

    batches = positions.batch(batch_size, drop_remainder=True).enumerate(first_step)
    return batches.flat_map(needed).map(read, num_parallel_calls=num_cores())


def size_of_batch(data: PreparedDataset, config: RunConfig) -> int:
    """Clips of a batch: at most those of an epoch."""
    return min(config.train.batch_size, epoch_size(data, config))


def epoch_size(data: PreparedDataset, config: RunConfig) -> int:
    """Clips of an epoch: each training video once, or some of rare classes more often."""
    if data.labelling == "one" and not config.train.balanced:
        return data.num_videos["train"]
    return len(_order(data, config)(0))


def _order(data: PreparedDataset, config: RunConfig) -> Order:
    balanced = config.train.balanced
    if data.labelling == "one":
        labels = label_numbers(data, "train")
        return TrainingOrder(labels, seed=config.seed, balanced=balanced)
    table = label_table(data, "train")
    times = repeat_factors(table > 0) if balanced else np.ones(len(table))
    return RepeatingOrder(times, seed=config.seed)


def class_counts(data: PreparedDataset, split: Split) -> list[int]:
    """Videos of each class in a split, by label number; of recordings, frames."""
    counts: list[int] = label_table(data, split).sum(axis=0).tolist()
    return counts


def _endless(order: Order, size: int, first: int) -> tf.data.Dataset:
    """Epoch after epoch, from the clip with the number `first` on.

    Returns:
        Pairs `(position, number)`: that of the clip, counted through all epochs, and that of its
        video, as the order gives it.
    """

    def numbers_of(epoch: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.numpy_function(order, (epoch,), tf.int64)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(numbers, (size,)))

    epoch, done = divmod(first, size)
    epochs = untuned(tf.data.Dataset.range(epoch, np.iinfo(np.int64).max))
    return epochs.flat_map(numbers_of).skip(done).enumerate(first)


def augmented_clips(
    data: PreparedDataset, config: RunConfig, *, epoch: int, numbers: Sequence[int] | None = None
) -> tf.data.Dataset:
    """Each training video once, in a fixed order, as training sees it in one epoch.

    Of recordings, the windows of evaluation, each changed at random.

    Args:
        data: The videos.
        config: The run; its seed, clip and augment count here.
        epoch: Number of the epoch, from 0.
        numbers: Which of them, by number; None: all.

    Returns:
        Pairs `({"frames": uint8 (T, H, W, 3), "mask": bool (T,)}, label int64 ())`, or labels as
        those of `training_batches`.
    """
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, balanced=False))
    size = epoch_size(data, config)
    reader = VideoReader(data, "train", config, at_random=False)
    clip = random_clip(config, _shown(data, config), data.class_names, size, reader)
    position = tf.constant(epoch * size, tf.int64)
    return read_videos(reader, numbers).map(lambda video: clip(position, video["number"], video))


def evaluation_clips(
    data: PreparedDataset,
    config: RunConfig,
    split: Split,
    *,
    view: int | None = None,
    order: FrameOrder = "in_order",
    most: int | None = None,
    numbers: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Each video of a split once, in a fixed order, as the clip that is always cut of it.

    Of recordings, the windows that overlap by half, each as its clip.

    Args:
        data: The videos.
        config: The run; its seed, clip and train.batch_size count here.
        split: Which videos.
        view: Which of the `clip.views` clips of each video; None: the middle one.
        order: Order of the frames within the clip. Optical flow goes with its frame: `reversed`
            turns its vectors round; `shuffled` leaves them, and each still says which way things
            moved towards its frame.
        most: Real frames in a clip, at most; None: as many as a clip has.
        numbers: Which of the videos, or of the windows, by number; None: all.

    Returns:
        Batches `(inputs, label, source)`, inputs and label as those of `training_batches`, source
        `{"video": string (B,), "group": string (B,)}`; of a window also `first_frame`, int64 (B,),
        the number of the stored frame that it starts with. The last batch holds what is left.
    """
    reader = VideoReader(data, split, config, at_random=False)
    clip = fixed_clip(config, _shown(data, config), view, order, most, reader)
    clips = read_videos(reader, numbers).map(clip, num_parallel_calls=num_cores())
    return clips.batch(config.train.batch_size).prefetch(AHEAD)


def evaluation_batches(data: PreparedDataset, config: RunConfig, split: Split) -> tf.data.Dataset:
    """The batches of `evaluation_clips` as the pairs `(inputs, label)` that Keras takes."""
    return evaluation_clips(data, config, split).map(lambda inputs, label, _: (inputs, label))


def load_clips(
    path: str | os.PathLike[str],
    split: Split = "train",
    *,
    num_frames: int = 16,
    batch_size: int = 8,
    augmented: bool = False,
) -> tf.data.Dataset:
    """Labelled clips of a data set, for a training loop of one's own.

    Args:
        path: Folder of a prepared data set; or of videos, a table of them, or one of events, which
            are prepared first.
        split: Which videos.
        num_frames: Frames of a clip (T).
        batch_size: Clips of a batch (B), at most.
        augmented: Whether clips are cut of training videos and changed at random, without end.

    Returns:
        Batches as of `training_batches`. Unless `augmented`, there is a clip of each video, or of
        each window of recordings, always in the same order.

    Raises:
        DataError: There is no such data set, or it has no such videos.
        ConfigError: A value is out of its range.
    """
    is_long = open_data(Path(path)).labelling == "frames"
    values: dict[str, Any] = {"clip.num_frames": num_frames, "train.batch_size": batch_size}
    values |= {"data": str(path), "model.streams": ["rgb"]}
    data, config = resolve(load_config("recordings" if is_long else "small", values))
    if split not in data.num_videos or (augmented and split != "train"):
        raise DataError(f"{path}: expected a split of {', '.join(data.num_videos)}, got {split}")
    return training_batches(data, config) if augmented else evaluation_batches(data, config, split)


def steps_per_epoch(data: PreparedDataset, config: RunConfig) -> int:
    """Steps in which about every training video is seen once."""
    return max(1, round(epoch_size(data, config) / config.train.batch_size))


def batches_to_fit(
    data: PreparedDataset, config: RunConfig, *, first_step: int = 0, share: Share = WHOLE
) -> tf.data.Dataset:
    """Endless `(inputs, targets)` or, with class weights, `(inputs, targets, weights)`.

    Args:
        data: The videos.
        config: The run.
        first_step: How many batches are left out at the beginning.
        share: What of each batch is given, in pieces for each device.

    Returns:
        Inputs as the recogniser takes them, targets float32 (B, num_classes), weights float32 (B,).
    """
    batches = training_batches(data, config, first_step=first_step, share=share)
    rows = share.rows(size_of_batch(data, config))
    batches = training_targets(
        batches, config, len(data.class_names), first_step=first_step, rows=rows
    )
    if config.train.class_weights:
        weights = _class_weights(data)
        batches = batches.map(
            lambda inputs, targets: (inputs, targets, tf.linalg.matvec(targets, weights))
        )
    if share.devices == 1:
        return batches
    return batches.rebatch(share.of_each(size_of_batch(data, config)), drop_remainder=True)


def batches_to_judge(
    data: PreparedDataset, config: RunConfig, *, split: Split = "val"
) -> tf.data.Dataset | None:
    """The clips of a split once, with targets as for training; None where there are none."""
    if split not in data.num_videos:
        return None
    return _with_targets(evaluation_batches(data, config, split), data, config)


def shared_validation(
    data: PreparedDataset, config: RunConfig, share: Share
) -> tuple[tf.data.Dataset, int]:
    """The validation clips that one of several processes has to judge, again and again.

    Returns:
        Batches `(inputs, targets, counts)`, each for the next device in turn; of those that only
        make their numbers equal, `counts` is false. And how many each device has.
    """
    number = VideoReader(data, "val", config, at_random=False).count
    if share.is_whole:
        batches = _with_targets(evaluation_batches(data, config, "val"), data, config)
        return batches, -(-number // config.train.batch_size)
    numbers, counts, turns = share.dealt(number, config.train.batch_size)
    clips = evaluation_clips(data, config, "val", numbers=numbers)
    batches = _with_targets(clips.map(lambda inputs, label, _: (inputs, label)), data, config)
    flags = tf.data.Dataset.from_tensor_slices(counts)
    return tf.data.Dataset.zip(batches, flags).map(lambda batch, flag: (*batch, flag)), turns


def _with_targets(
    batches: tf.data.Dataset, data: PreparedDataset, config: RunConfig
) -> tf.data.Dataset:
    task, num_classes = task_of(config.model), len(data.class_names)
    return batches.map(lambda inputs, label: (inputs, task.targets(label, num_classes)))


def chance(data: PreparedDataset, config: RunConfig) -> float:
    """Accuracy without any knowledge of validation or, without it, of training, 0 to 1.

    That of the most frequent class; where several may hold, of the better answer for each class.
    """
    split: Split = "val" if "val" in data.num_videos else "train"
    counts = np.array(class_counts(data, split))
    if not config.model.task.endswith("multilabel"):
        return float(counts.max() / counts.sum())
    shares = counts / _num_labelled(data, split)
    return float(np.maximum(shares, 1 - shares).mean())


def _num_labelled(data: PreparedDataset, split: Split) -> int:
    """Videos of a split; of recordings, frames."""
    if data.labelling == "frames":
        return sum(clip.num_frames for clip in data.of_split(split))
    return data.num_videos[split]


def _class_weights(data: PreparedDataset) -> tf.Tensor:
    counts = np.array(class_counts(data, "train"), np.float32)
    return tf.constant(counts.sum() / (len(counts) * counts))


def _shown(data: PreparedDataset, config: RunConfig) -> FramesConfig:
    """What a run reads of the frames of a data set."""
    frames = data.frames.only(config.model.images)
    return dataclasses.replace(frames, shrink=config.clip.shrink)
