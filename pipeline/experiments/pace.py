"""How long a training takes, and with how many epochs trainings fit into a time."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.dataset.videos import Data
from pipeline.experiments.trial import Trial, logged_to, of_fold
from pipeline.prepare.prepared import Store
from pipeline.run import Run
from pipeline.training.fit import train

_FILE: Final = "pace.json"
_EPOCHS: Final = 3
"""Of the training that is timed; in the first of them TensorFlow traces."""
_TRAININGS: Final = 6
"""That must fit into the time: two folds and the last training of two recipes."""
_FEWEST: Final = 8
_MANY_FRAMES: Final = 10_000
"""Of a data set; with fewer, all epochs are taken, and nothing is timed."""


def in_time(
    trials: Sequence[Trial], data: Data, folds: int, folder: Path, seconds: float
) -> list[Trial]:
    """Recipes with all of their epochs, or with fewer where there is no time for all.

    Args:
        trials: The recipes; one of them needs nothing, and is timed.
        data: The videos.
        folds: How many there are.
        folder: Where what it took is kept, so that the epochs stay the same.
        seconds: The time that there is.
    """
    if isinstance(data, Store) and data.count_frames() < _MANY_FRAMES:
        return list(trials)
    timed = next(trial for trial in trials if not trial.recipe.needs)
    file = folder / _FILE
    if not file.is_file():
        taken = _epoch_seconds(timed, folds, folder / "pace") * timed.config.train.epochs
        write_json(file, {"share": seconds / _TRAININGS / taken})
    share = json.loads(file.read_bytes())["share"]
    if share < 1:
        epochs = _shortened(timed, share).config.train.epochs
        print(f"{epochs} of {timed.config.train.epochs} epochs fit into the time", flush=True)
    dearer = [max(1.0, timed.recipe.cost / trial.recipe.cost) for trial in trials]
    return [_shortened(trial, share * more) for trial, more in zip(trials, dearer, strict=True)]


def _epoch_seconds(trial: Trial, folds: int, folder: Path) -> float:
    config, run = of_fold(trial.config, 1, folds), Run(folder)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=_EPOCHS))
    with logged_to(folder.with_suffix(".log")):
        train(config, folder, overwrite=True)
    with run.history_file.open(newline="") as file:
        return min(float(row["seconds"]) for row in csv.DictReader(file))


def _shortened(trial: Trial, share: float) -> Trial:
    whole = trial.config.train.epochs
    epochs = min(whole, max(_FEWEST, round(share * whole)))
    train = dataclasses.replace(trial.config.train, epochs=epochs)
    return dataclasses.replace(trial, config=dataclasses.replace(trial.config, train=train))
