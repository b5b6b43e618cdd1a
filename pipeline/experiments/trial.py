"""A recipe while it is tried: its folds, and what it answered for videos that it never saw."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.atomic import write_json
from pipeline.config import RunConfig
from pipeline.evaluation.fusing import Several
from pipeline.evaluation.predict import predict_split
from pipeline.evaluation.predictions import Predictions, calibrated_predictions, joined
from pipeline.experiments.recipes import Recipe
from pipeline.run import Run
from pipeline.training.callbacks import TimeLimit
from pipeline.training.fit import train
from pipeline.training.run_folder import is_trained

_DONE: Final = "fold.json"


@dataclasses.dataclass(eq=False)
class Trial:
    """A recipe while it is tried.

    Attributes:
        recipe: What is tried.
        config: Its run, of which all but the fold is known.
        folder: Where its runs are.
        answers: What was answered for the videos of each fold that was held out.
        seconds: What each of these folds took; the first one stored features as well.
        status: Why it is not tried any more; empty: it is.
    """

    recipe: Recipe
    config: RunConfig
    folder: Path
    answers: list[Predictions] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    status: str = ""

    def of_seed(self, seed: int) -> Trial:
        """The same recipe with another seed, not tried yet."""
        recipe = dataclasses.replace(self.recipe, name=f"{self.recipe.name}, seed {seed}")
        config = dataclasses.replace(self.config, seed=seed)
        return Trial(recipe, config, self.folder.with_name(recipe.folder_name))


def is_tried(folder: Path, fold: int) -> bool:
    """Whether a run of a fold has answered."""
    return (folder / f"fold-{fold:02d}" / _DONE).is_file()


def of_fold(config: RunConfig, fold: int, folds: int) -> RunConfig:
    """A run that is trained without one of the folds, whatever it would answer for it."""
    split = dataclasses.replace(config.split, val_folds=folds, val_fold=fold)
    fit = dataclasses.replace(config.train, checkpoint="last", patience=0)
    return dataclasses.replace(config, split=split, train=fit)


def held_out(
    config: RunConfig, folder: Path, fold: int, folds: int, seconds: float = math.inf
) -> tuple[Predictions, float]:
    """Trains a run without one fold of the training videos, and has it answer for these.

    Args:
        config: The run.
        folder: Where runs of its folds go; one that is there is read.
        fold: The fold, from 1.
        folds: How many there are.
        seconds: What the training may take.

    Returns:
        The answers, and the seconds that it took.

    Raises:
        DivergenceError: The training did.
        OutOfTimeError: It took too long, and was given up.
    """
    run = Run(folder / f"fold-{fold:02d}")
    done = run.folder / _DONE
    if not is_tried(folder, fold):
        started = time.monotonic()
        with logged_to(folder / "training.log"):
            opened = train(
                of_fold(config, fold, folds),
                run.folder,
                overwrite=not _goes_on(run),
                limit=TimeLimit(started + seconds, keeps=False),
            )
            predict_split(opened, "val")
        write_json(done, {"seconds": round(time.monotonic() - started, 1)})
    return calibrated_predictions(run, "val"), json.loads(done.read_bytes())["seconds"]


def _goes_on(run: Run) -> bool:
    return run.checkpoint_file.is_file() or is_trained(run)


def several_of(members: Sequence[Trial]) -> Several:
    """The answers of several recipes for the same videos, each divided by what fits it best."""
    each = [joined(trial.answers) for trial in members]
    temperatures = tuple(answers.fit_temperature() for answers in each)
    return Several(
        folders=tuple(trial.folder for trial in members),
        each=tuple(map(Predictions.divided, each, temperatures)),
        temperatures=temperatures,
    )


def correct_of(trial: Trial) -> np.ndarray:
    """Of each video, or recording, what of it is answered rightly, 0 to 1."""
    model, found = trial.config.model, list[float]()
    for answers in trial.answers:
        if model.per_frame:
            right = ((answers.targets == 1) == answers.answers).all(axis=1)
            pairs = zip(answers.of_each(right), answers.of_each(answers.valid), strict=True)
            found += [each[valid].mean() for each, valid in pairs]
        elif model.multilabel:
            found += (answers.answers == (answers.targets == 1)).mean(axis=1).tolist()
        else:
            found += answers.correct.astype(float).tolist()
    return np.array(found)


@contextlib.contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """What is printed, or warned of, goes to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        file.open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        warnings.catch_warnings(),
    ):
        warnings.showwarning = lambda message, *_, **__: print(message, file=log)
        yield
