"""What can be said of a training before it begins, and of the memory that it takes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import size_of_batch, steps_per_epoch
from pipeline.errors import ConfigError, PipelineError
from pipeline.prepare.prepared import PreparedDataset
from pipeline.text import extra
from pipeline.training.cluster import Cluster
from pipeline.training.linear import is_linear


def check_run(config: RunConfig, data: PreparedDataset, cluster: Cluster) -> None:
    """Makes sure that a run can be trained with what is installed, and on these devices.

    Raises:
        ConfigError: It cannot.
    """
    if config.train.tensorboard:
        try:
            importlib.import_module("tensorboard")
        except ImportError:
            how = extra("tensorboard")
            raise ConfigError(f"train.tensorboard needs TensorBoard: {how}") from None
    devices, size = cluster.num_devices, size_of_batch(data, config)
    if size % devices:
        raise ConfigError(
            f"train.batch_size must be a multiple of the {devices} devices that share a batch. "
            f"Received: {size}; try {max(1, round(size / devices)) * devices}"
        )
    if cluster.num_workers > 1 and is_linear(config):
        raise ConfigError(
            "the heads of this run are fitted at once, on one machine: start one worker alone"
        )
    _check_steps(config, data)


def _check_steps(config: RunConfig, data: PreparedDataset) -> None:
    steps = config.train.epochs * steps_per_epoch(config, data)
    if config.train.accumulate > steps:
        raise ConfigError(
            f"train.accumulate must be at most {steps}, which is how many steps all epochs have "
            f"together; else the weights never change. Received: {config.train.accumulate}"
        )


@contextmanager
def enough_memory(config: RunConfig) -> Iterator[None]:
    """Within it, memory that does not suffice is told in one line.

    Raises:
        PipelineError: It does not.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        batch_size, accumulate = config.train.batch_size, config.train.accumulate
        smaller = (
            f"try --train.batch_size {batch_size // 2} --train.accumulate {accumulate * 2}"
            if batch_size > 1
            else "lower clip.num_frames, or the size of the frames or of the network"
        )
        raise PipelineError(
            f"out of memory with train.batch_size {batch_size}: {smaller}"
        ) from None
