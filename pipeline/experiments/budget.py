"""The time that a choice may take: what is spent of it, and the epochs that fit into it."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.errors import ConfigError
from pipeline.experiments.inner import logged_to, whatever_it_answers, without_fold
from pipeline.experiments.trial import Trial
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.text import clock
from pipeline.training.fit import train

_FILE: Final = "pace.json"
_EPOCHS: Final = 2
"""Of the training that is timed; in the first of them TensorFlow traces."""
_TRAININGS: Final = 6
"""That must fit into the time: two folds and the last training of two recipes."""
_FEWEST: Final = 8
_FRAMES_A_SECOND: Final = 5.5
"""Of the time that there is. Of a data set with fewer, all epochs are taken, without timing."""
_EXPORT_SECONDS: Final = 12.0
_LAST_SHARE: Final = 1.25
"""Of the seconds of a fold, what training on all videos takes."""
_MOST_OVER: Final = 1.1
"""Of the budget, when the last training ends wherever it is."""
_SPARE: Final = 0.06
"""Share of the budget that is left for what cannot be foreseen."""


class Clock:
    """The time that is spent, also by earlier calls that were stopped.

    Args:
        file: Where it is kept.
        budget: Seconds that may be spent.
        began: When this call did, by `time.monotonic`; None: now.
    """

    def __init__(self, file: Path, budget: float, began: float | None = None) -> None:
        self._file, self.budget = file, budget
        self._before = json.loads(file.read_bytes())["seconds"] if file.is_file() else 0.0
        self._start = time.monotonic() if began is None else began

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return float(self._before) + time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds that may still be used."""
        return self.budget * (1 - _SPARE) - self.spent

    def for_each(self, number: int) -> float:
        """Seconds that each of so many trainings may take at most, before it is exported."""
        most = _MOST_OVER * self.budget - self.spent
        return max(0.0, most / max(number, 1) - _EXPORT_SECONDS)

    def least(self, more: float) -> float:
        """The budget with which there is time for so many seconds more."""
        return (self.spent + more) / (1 - _SPARE)

    def note(self) -> None:
        """Keeps what is spent."""
        write_json(self._file, {"seconds": round(self.spent, 1)})


def last_seconds(fold_seconds: float) -> float:
    """What training on all videos takes, more than a fold has, and exporting."""
    return _LAST_SHARE * fold_seconds + _EXPORT_SECONDS


def longest_fold(watch: Clock) -> float:
    """What the first of all folds may take, so that there is time for the last training."""
    return (watch.left - _EXPORT_SECONDS) / (1 + _LAST_SHARE)


def in_time(
    trials: Sequence[Trial], data: PreparedDataset, folds: int, folder: Path, watch: Clock
) -> list[Trial]:
    """Recipes with all of their epochs, or with fewer where there is no time for all.

    Args:
        trials: The recipes; one of them needs nothing, and is timed.
        data: The videos.
        folds: How many there are.
        folder: Where what it took is kept, so that the epochs stay the same.
        watch: The time that there is.

    Returns:
        All of them; or the first, which has a `status`, where there is time for its last training
        and for no fold.

    Raises:
        ConfigError: There is no time for that either.
    """
    timed = next(trial for trial in trials if not trial.recipe.needs)
    file, whole = folder / _FILE, timed.config.train.epochs
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        is_small = data.count_frames() < _FRAMES_A_SECOND * watch.budget
        write_json(file, {"share": 1.0} if is_small else _paced(timed, folds, folder / "pace"))
    pace = json.loads(file.read_bytes())
    if "share" not in pace:
        start, epoch = pace["start"], pace["epoch"]
        cheaper = trials[0].recipe.cost / timed.recipe.cost
        shortest = cheaper * (start + epoch * min(_FEWEST, whole))
        alone = _is_alone(shortest, start + epoch * whole, watch, timed.config.split.folds)
        if alone:
            return [_alone(trials[0], cheaper, start, epoch, watch)]
        pace["share"] = max(0.0, (watch.left / _TRAININGS - start) / (epoch * whole))
        write_json(file, pace)
    share = pace["share"]
    if share < 1:
        epochs = _shortened(timed, share).config.train.epochs
        print(f"{epochs} of {whole} epochs fit into the time", flush=True)
    dearer = [max(1.0, timed.recipe.cost / trial.recipe.cost) for trial in trials]
    return [_shortened(trial, share * more) for trial, more in zip(trials, dearer, strict=True)]


def _is_alone(shortest: float, whole: float, watch: Clock, tested: int | str) -> bool:
    """Whether one training of so many seconds fits in, in each of the folds tested, and no two.

    Raises:
        ConfigError: Not even one does.
    """
    compared = (
        f"From {_minutes(watch.least(_TRAININGS * whole))} on, two recipes are compared in all"
    )
    least = last_seconds(shortest)
    if (enough := watch.least(least)) > watch.budget:
        each = " for each fold" if tested else ""
        raise ConfigError(
            f"--budget: expected {_minutes(enough)} or more{each} for these videos, got "
            f"{clock(watch.budget)}: a training of about {clock(shortest)}, of the fewest epochs, "
            f"and an export must fit in. {compared} of their epochs"
        )
    if watch.least(shortest + least) <= watch.budget:
        return False
    print(f"no time to try any recipe: the first is taken. {compared} of their epochs", flush=True)
    return True


def _alone(trial: Trial, cheaper: float, start: float, epoch: float, watch: Clock) -> Trial:
    """A recipe with the epochs that its last training has time for."""
    seconds = watch.for_each(1) / cheaper - start
    found = _shortened(trial, seconds / (epoch * trial.config.train.epochs))
    return dataclasses.replace(found, status="the only one that there is time for")


def _minutes(seconds: float) -> str:
    return f"{math.ceil(seconds / 60)}m"


def _paced(trial: Trial, folds: int, folder: Path) -> dict[str, float]:
    """Seconds of an `epoch`, and what a training takes besides, most of it at its `start`."""
    print(f"{trial.recipe.name}: {_EPOCHS} epochs show how long all take", flush=True)
    config, run = without_fold(whatever_it_answers(trial.config), 1, folds), Run(folder)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=_EPOCHS))
    began = time.monotonic()
    with logged_to(folder.with_suffix(".log")):
        train(config, folder, overwrite=True)
    epoch = min(row["seconds"] for row in run.history())
    return {"start": max(0.0, time.monotonic() - began - _EPOCHS * epoch), "epoch": epoch}


def _shortened(trial: Trial, share: float) -> Trial:
    whole = trial.config.train.epochs
    epochs = min(whole, max(_FEWEST, round(share * whole)))
    train = dataclasses.replace(trial.config.train, epochs=epochs)
    return dataclasses.replace(trial, config=dataclasses.replace(trial.config, train=train))
