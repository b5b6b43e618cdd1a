"""The folder of a cross-validation, of answers that nobody had to train for."""

import json
from pathlib import Path

import numpy as np

from pipeline.config import FramesConfig, ModelConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.evaluation.answers import Answers, answers_file, write_answers
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration


def some_answers(fold: int, names: list[str], *, sure: float, right: float) -> Answers:
    """For 30 videos, of which a share is answered rightly, all as surely."""
    rng = np.random.default_rng([fold, round(10 * sure)])
    labels = np.arange(30) % len(names)
    found = np.where(rng.random(30) < right, labels, (labels + 1) % len(names))
    logits = sure * np.eye(len(names))[found] + 0.1 * rng.normal(size=(30, len(names)))
    return Answers(
        names=tuple(f"{fold}/{number:02d}" for number in range(30)),
        groups=tuple(f"{fold}/{number // 3}" for number in range(30)),
        labels=labels,
        logits=logits,
        holds=logits.argmax(axis=1)[:, None] == np.arange(len(names)),
    )


CONFIG = RunConfig(data="d", frames=FramesConfig(size=32, fps=5), model=ModelConfig())


def write_crossval(
    folder: Path, names: list[str], folds: list[Answers], config: RunConfig = CONFIG
) -> Path:
    """Writes what `clipline crossval` leaves of runs that were not calibrated."""
    for number, answers in enumerate(folds, start=1):
        run = Run(folder / f"fold-{number:02d}")
        run.report.mkdir(parents=True)
        save_config(config, run.config_file)
        run.class_names_file.write_text(json.dumps(names))
        path = answers_file(run, "test", config.model)
        write_answers(path, answers, config.model, names, Calibration())
    (folder / "crossval.json").write_text("{}")
    return folder
