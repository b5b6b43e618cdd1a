"""Settings of runs, and runs whose weights are drawn: all that training leaves, without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import RunConfig
from pipeline.config.file import with_values
from pipeline.run import Run


def changed(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """A configuration with other values, by dotted key."""
    return with_values(config, values, "a test")


def expect_same(run: Run, other: Run, **tolerance: float) -> None:
    """Two trainings had the same losses, and left the same weights."""
    from pipeline.models.recognizer import load_recognizer

    for one, same in zip(run.history(), other.history(), strict=True):
        numbers = [[one[name], same[name]] for name in one if name != "seconds"]
        np.testing.assert_allclose(*np.transpose(numbers), **tolerance)
    weights = (load_recognizer(each.model_file).get_weights() for each in (run, other))
    for weight, same in zip(*weights, strict=True):
        np.testing.assert_allclose(weight, same, **tolerance)


def draw_weights(model: object, seed: int) -> None:
    """Draws all weights but those that must keep their meaning, such as variances."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name not in ("moving_variance", "gamma", "steps"):
            weight.assign(rng.normal(scale=0.5, size=weight.shape))


def drawn_run(config: RunConfig, folder: Path, *, exported: bool = True) -> Run:
    """A run of a data set, as after one epoch, in a folder that is not there yet.

    Args:
        config: With its data set.
        folder: Of the run.
        exported: Whether it is exported to LiteRT, too.
    """
    from pipeline.dataset.videos import resolve
    from pipeline.inference.export import export
    from pipeline.models.recognizer import build_recognizer, float32_twin
    from pipeline.training.run_folder import OpenedRun, note_end, start

    train = dataclasses.replace(config.train, precision="float32")
    data, config = resolve(dataclasses.replace(config, train=train))
    run = Run(folder)
    start(run, data, config)
    network = build_recognizer(config, len(data.class_names))
    draw_weights(network, config.seed)
    twin = float32_twin(network, config)
    twin.save(run.model_file)
    columns = "epoch,seconds,learning_rate,loss,accuracy,val_loss,val_accuracy"
    run.history_file.write_text(f"{columns}\n1,0.1,0.001,0.7,0.5,0.7,0.5\n")
    note_end(run)
    if exported:
        export(OpenedRun(run, data, config, twin))
    return run
