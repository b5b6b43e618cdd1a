"""An epoch on stored features against an epoch through the frozen backbone."""

import dataclasses
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import keras

from pipeline.cli.parser import ConfigParser, run_config
from pipeline.config import RunConfig, expect
from pipeline.dataset.clip_batches import batches_to_fit, steps_per_epoch
from pipeline.dataset.videos import resolve
from pipeline.models.recognizer import build_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.training.features import cached_features, temporal_part
from pipeline.training.optimizer import compile_model

EPOCHS = 5


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and compares."""
    parser = ConfigParser(
        "An epoch on stored features.", "benchmark cache", "--config pretrained --data data/NAME"
    )
    parser.add_run_config(arguments)
    config = run_config(parser.parse(arguments))
    frozen = config.backbone.trainable == "none"
    expect(frozen, "backbone.trainable must be none, such as in --config pretrained", frozen)
    other = "backbone.name must be a network that can be trained through, not an external backbone"
    expect(not config.external, other, config.backbone.name)
    with tempfile.TemporaryDirectory() as folder:  # in which no features are stored yet
        copy = Path(folder) / "data"
        shutil.copytree(config.data, copy, ignore=shutil.ignore_patterns("features"))
        compare_epochs(*resolve(dataclasses.replace(config, data=str(copy))))


def compare_epochs(data: PreparedDataset, config: RunConfig) -> None:
    """Prints the seconds of an epoch each way, and what storing the features takes."""
    keras.utils.set_random_seed(0)
    recognizer = build_recognizer(config, len(data.class_names))
    start = time.perf_counter()
    features = cached_features(recognizer, data, config)
    extraction = time.perf_counter() - start
    through = _epoch(recognizer, config, data, epochs=1)
    cached = _epoch(temporal_part(recognizer, config), config, features, epochs=EPOCHS)
    print(
        f"\nSeconds on {os.cpu_count()} CPU cores, {data.num_videos['train']} training videos, "
        f"{config.backbone.name}:\n\n"
        f"{'storing the features, once':<34} {extraction:>8.1f}\n"
        f"{'an epoch through the backbone':<34} {through:>8.1f}\n"
        f"{f'an epoch on features, best of {EPOCHS}':<34} {cached:>8.2f} "
        f"{through / cached:>6.0f} times as fast"
    )


def _epoch(model: keras.Model, config: RunConfig, data: PreparedDataset, *, epochs: int) -> float:
    """Seconds of the fastest epoch of a training, whose first, for tracing, does not count."""
    compile_model(model, config, steps_per_epoch(data, config))
    ends: list[float] = []
    model.fit(
        batches_to_fit(data, config),
        epochs=1 + epochs,
        steps_per_epoch=steps_per_epoch(data, config),
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
        ],
        shuffle=False,
        verbose=0,
    )
    return min(after - before for before, after in itertools.pairwise(ends))
