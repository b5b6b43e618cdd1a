"""A recipe while it is tried: its folds, and what it answered for videos that it never saw."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.evaluation.fusing import Several
from pipeline.evaluation.predictions import Predictions, calibrated_predictions, joined
from pipeline.experiments.recipes import Recipe
from pipeline.experiments.runs import done_before, measured
from pipeline.run import Run
from pipeline.training.callbacks import TimeLimit


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
    return done_before(_of_fold(folder, fold)) is not None


def _of_fold(folder: Path, fold: int) -> Run:
    return Run(folder / f"fold-{fold:02d}")


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
    run, limit = _of_fold(folder, fold), TimeLimit(time.monotonic() + seconds, keeps=False)
    own = of_fold(config, fold, folds)
    with logged_to(folder / "training.log"):
        done = measured(own, run, "val", calibrates=False, limit=limit)
    return calibrated_predictions(run, "val"), done["seconds"]


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
