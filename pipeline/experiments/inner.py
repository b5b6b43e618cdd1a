"""Folds within the training videos of a run, by which settings and recipes are chosen."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.evaluation.predictions import Predictions, calibrated_predictions
from pipeline.evaluation.results import Measured
from pipeline.experiments.runs import measured, measured_before
from pipeline.run import Run
from pipeline.training.callbacks import TimeLimit


def without_fold(config: RunConfig, fold: int, folds: int) -> RunConfig:
    """A run that is trained without one of the folds of its training videos, which validates it."""
    split = dataclasses.replace(config.split, val_folds=folds, val_fold=fold)
    return dataclasses.replace(config, split=split)


def whatever_it_answers(config: RunConfig) -> RunConfig:
    """A run of which validation videos choose nothing: all epochs are run, the last is kept."""
    fit = dataclasses.replace(config.train, checkpoint="last", patience=0)
    return dataclasses.replace(config, train=fit)


def run_of_fold(folder: Path, fold: int) -> Run:
    """The run that is trained without a fold."""
    return Run(folder / f"fold-{fold:02d}")


def is_held_out(folder: Path, fold: int) -> bool:
    """Whether the run of a fold has answered."""
    return measured_before(run_of_fold(folder, fold)) is not None


def hold_out(
    config: RunConfig, folder: Path, fold: int, folds: int, seconds: float = math.inf
) -> Measured:
    """Trains a run without one fold of the training videos, and measures it on this.

    Args:
        config: The run, see `whatever_it_answers`.
        folder: Where runs of its folds go; one that is there is read.
        fold: The fold, from 1.
        folds: How many there are.
        seconds: What the training may take.

    Raises:
        DivergenceError: The training did.
        OutOfTimeError: It took too long, and was given up.
    """
    limit = TimeLimit(time.monotonic() + seconds, keeps=False)
    own, run = without_fold(config, fold, folds), run_of_fold(folder, fold)
    return measured(own, run, "val", calibrates=False, limit=limit)


def held_out(folder: Path, fold: int) -> Predictions:
    """What the run of a fold, see `hold_out`, answered for the videos of this."""
    return calibrated_predictions(run_of_fold(folder, fold), "val")


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
