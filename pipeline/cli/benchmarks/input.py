"""Clips that the training pipeline gives, against those that a training step takes."""

import dataclasses
import itertools
import os
import time
from collections.abc import Iterator, Sequence

import keras

from pipeline.cli.parser import ConfigParser, run_config
from pipeline.config import NO_AUGMENT, RunConfig
from pipeline.dataset.clip_batches import batches_to_fit, steps_per_epoch
from pipeline.dataset.videos import resolve
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.training.optimizer import compile_model

SECONDS = 5.0
WARM_UP = 5


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = ConfigParser(
        "Clips that are read, against those that are trained on.",
        "benchmark input",
        "--data data/NAME",
    )
    parser.add_run_config(arguments)
    measure_input(*resolve(run_config(parser.parse(arguments))))


def measure_input(data: PreparedDataset, config: RunConfig) -> None:
    """Prints clips per second of the pipeline alone and of the step alone."""
    size, length = data.frames.size, config.clip.num_frames
    print(
        f"Clips a second on {os.cpu_count()} CPU cores, each measured alone: {length} frames of\n"
        f"{size} x {size}, in batches of {config.train.batch_size}.\n"
    )
    demand = _trained(config, data)
    rows = {
        "read, without augmentation": NO_AUGMENT,
        "read, augmented as configured": config.augment,
    }
    print(f"{'a training step takes':<34} {demand:>8,.0f}")
    for name, augment in rows.items():
        batches = batches_to_fit(data, dataclasses.replace(config, augment=augment))
        rate = _rate(iter(batches), config.train.batch_size)
        print(f"{name:<34} {rate:>8,.0f} {rate / demand:>6.1f} times", flush=True)


def _trained(config: RunConfig, data: PreparedDataset) -> float:
    """On one batch again and again, so that nothing is read."""
    keras.utils.set_random_seed(0)
    model = build_recognizer(config, len(data.class_names))
    compile_model(model, config, steps_per_epoch(data, config))
    batch = next(iter(batches_to_fit(data, config)))
    return _rate((model.train_on_batch(*batch) for _ in itertools.count()), config.train.batch_size)


def _rate(steps: Iterator[object], batch_size: int) -> float:
    for _ in range(WARM_UP):
        next(steps)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        next(steps)
        count += 1
    return count * batch_size / (time.perf_counter() - start)
