"""What Keras' fit is given: batches of clips with targets and weights, without end."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.dataset.augment.mixing import training_targets
from pipeline.dataset.clip_batches import (
    class_counts,
    epoch_size,
    evaluation_batches,
    training_batches,
)
from pipeline.dataset.videos import Data
from pipeline.tasks.task import task_of


def steps_per_epoch(config: RunConfig, data: Data) -> int:
    """Steps in which about every training video is seen once."""
    return max(1, round(epoch_size(data, config) / config.train.batch_size))


def batches_for_training(
    data: Data, config: RunConfig, *, first_step: int = 0, num_devices: int = 1
) -> tf.data.Dataset:
    """Endless `(inputs, targets)` or, with class weights, `(inputs, targets, weights)`.

    Args:
        data: The videos.
        config: The run.
        first_step: How many batches are left out at the beginning.
        num_devices: That share a batch.

    Returns:
        Inputs as the recogniser takes them, targets float32 (B, num_classes), weights float32 (B,).
    """
    batches = training_batches(data, config, first_step=first_step)
    batches = training_targets(batches, config, len(data.class_names), first_step=first_step)
    if config.train.class_weights:
        weights = _class_weights(data)
        batches = batches.map(
            lambda inputs, targets: (inputs, targets, tf.linalg.matvec(targets, weights))
        )
    return _for_devices(batches, num_devices)


def batches_for_validation(
    data: Data, config: RunConfig, *, num_devices: int = 1
) -> tf.data.Dataset | None:
    """The validation clips once, as for training; None where there are none."""
    if "val" not in data.num_videos:
        return None
    task, num_classes = task_of(config.model), len(data.class_names)
    batches = evaluation_batches(data, config, "val").map(
        lambda inputs, label: (inputs, task.targets(label, num_classes))
    )
    return _for_devices(batches, num_devices)


def chance(data: Data) -> float:
    """Accuracy of the most frequent class of validation or, without it, of training, 0 to 1."""
    counts = class_counts(data, "val" if "val" in data.num_videos else "train")
    return max(counts) / sum(counts)


def _class_weights(data: Data) -> tf.Tensor:
    counts = np.array(class_counts(data, "train"), np.float32)
    return tf.constant(counts.sum() / (len(counts) * counts))


def _for_devices(batches: tf.data.Dataset, num_devices: int) -> tf.data.Dataset:
    """Where there are several, the mask is uint8, which the model takes as well.

    To build its metrics, Keras 3.15 takes the mean of the first batches of all devices, and
    TensorFlow has none of bool.
    """
    if num_devices == 1:
        return batches
    return batches.map(
        lambda inputs, *targets: ({**inputs, "mask": tf.cast(inputs["mask"], tf.uint8)}, *targets)
    )
