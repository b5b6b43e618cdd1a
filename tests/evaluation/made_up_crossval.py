"""Predictions that nobody had to train for, and the folder of a cross-validation that gave them."""

import json
from pathlib import Path

import numpy as np

from pipeline.config import FramesConfig, ModelConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.evaluation.predictions import Predictions, write_predictions
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration

CONFIG = RunConfig(data="d", frames=FramesConfig(size=32, fps=5), model=ModelConfig(task="video"))


def made_up(logits, targets, names, groups, class_names=("a", "b"), task="video") -> Predictions:
    """Answers for videos, a row each, by their logits (N, C)."""
    logits = np.array(logits, float)
    found = Predictions(
        logits=logits,
        targets=np.array(targets),
        valid=np.ones(len(logits), bool),
        video=np.arange(len(logits)),
        names=tuple(names),
        groups=tuple(groups),
        class_names=tuple(class_names),
        model=ModelConfig(task=task),
    )
    return found.calibrated(Calibration())


def some_answers(fold: int, names: list[str], *, sure: float, right: float) -> Predictions:
    """For 30 videos, of which a share is answered rightly, all as surely."""
    rng = np.random.default_rng([fold, round(10 * sure)])
    targets = np.arange(30) % len(names)
    found = np.where(rng.random(30) < right, targets, (targets + 1) % len(names))
    logits = sure * np.eye(len(names))[found] + 0.1 * rng.normal(size=(30, len(names)))
    videos = [f"{fold}/{number:02d}" for number in range(30)]
    return made_up(logits, targets, videos, [f"{fold}/{n // 3}" for n in range(30)], names)


def write_crossval(
    folder: Path, names: list[str], folds: list[Predictions], config: RunConfig = CONFIG
) -> Path:
    """Writes what `clipline crossval` leaves of runs that were not calibrated."""
    for number, answers in enumerate(folds, start=1):
        run = Run(folder / f"fold-{number:02d}")
        run.report.mkdir(parents=True)
        save_config(config, run.config_file)
        run.class_names_file.write_text(json.dumps(names))
        write_predictions(run, "test", answers)
    (folder / "crossval.json").write_text("{}")
    return folder
