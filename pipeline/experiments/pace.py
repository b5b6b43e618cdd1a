"""How long a training takes, and with how many epochs trainings fit into a time."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.dataset.videos import Data
from pipeline.errors import DataError
from pipeline.experiments.trial import Trial, logged_to, of_fold
from pipeline.prepare.prepared import Store
from pipeline.run import Run
from pipeline.text import clock
from pipeline.training.fit import train

_FILE: Final = "pace.json"
_EPOCHS: Final = 3
"""Of the training that is timed; in the first of them TensorFlow traces."""
_TRAININGS: Final = 6
"""That must fit into the time: two folds and the last training of two recipes."""
_FEWEST: Final = 8
_MANY_FRAMES: Final = 10_000
_MUCH_SECONDS: Final = 900.0
"""With fewer frames, and so much time, all epochs are taken, and nothing is timed."""
LAST: Final = 1.25
"""What the last training takes, on all videos, in trainings of a fold."""
EXPORT_SECONDS: Final = 12.0
SPARE: Final = 0.06
"""Share of the budget that is left for what cannot be foreseen."""


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

    Raises:
        DataError: It is too little for a fold and the last training of the quickest recipe.
    """
    is_small = isinstance(data, Store) and data.count_frames() < _MANY_FRAMES
    if is_small and seconds >= _MUCH_SECONDS:
        return list(trials)
    timed = next(trial for trial in trials if not trial.recipe.needs)
    file = folder / _FILE
    if not file.is_file():
        print(f"{timed.recipe.name}: {_EPOCHS} epochs, to see what fits into the time", flush=True)
        epoch, besides = _timed(timed, folds, folder / "pace")
        quickest = min(trial.recipe.cost for trial in trials) / timed.recipe.cost
        fold = besides + _FEWEST * epoch * min(1.0, quickest)
        _expect_enough(seconds, besides + _EPOCHS * epoch + (1 + LAST) * fold + EXPORT_SECONDS)
        left = max(0.0, seconds / _TRAININGS - besides)
        write_json(file, {"share": left / (epoch * timed.config.train.epochs)})
    share = json.loads(file.read_bytes())["share"]
    if share < 1:
        epochs = _shortened(timed, share).config.train.epochs
        print(f"{epochs} of {timed.config.train.epochs} epochs fit into the time", flush=True)
    dearer = [max(1.0, timed.recipe.cost / trial.recipe.cost) for trial in trials]
    return [_shortened(trial, share * more) for trial, more in zip(trials, dearer, strict=True)]


def _expect_enough(seconds: float, least: float) -> None:
    if seconds < least:
        budget = math.ceil(least / (1 - SPARE) / 60)
        raise DataError(
            f"{clock(max(0.0, seconds))} of --budget are left, and one fold and the last training "
            f"of the quickest recipe take about {clock(least)} here. Give it {budget}m or more; "
            "of a crossval, each fold"
        )


def _timed(trial: Trial, folds: int, folder: Path) -> tuple[float, float]:
    """Seconds of an epoch of a training, and of all besides its epochs."""
    config, run = of_fold(trial.config, 1, folds), Run(folder)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=_EPOCHS))
    started = time.monotonic()
    with logged_to(folder.with_suffix(".log")):
        train(config, folder, overwrite=True)
    taken = time.monotonic() - started
    epoch = min(row["seconds"] for row in run.history())
    return epoch, max(0.0, taken - _EPOCHS * epoch)


def _shortened(trial: Trial, share: float) -> Trial:
    whole = trial.config.train.epochs
    epochs = min(whole, max(_FEWEST, round(share * whole)))
    train = dataclasses.replace(trial.config.train, epochs=epochs)
    return dataclasses.replace(trial, config=dataclasses.replace(trial.config, train=train))
