"""What several runs say of the same videos, each alone and all together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.config.model import ModelConfig
from pipeline.errors import DataError
from pipeline.evaluation.calibrate import fitted
from pipeline.evaluation.predict import predict_split
from pipeline.evaluation.predictions import (
    Predictions,
    calibrated_predictions,
    joined,
    predictions_file,
)
from pipeline.evaluation.results import FusedResult
from pipeline.manifest.rows import Split
from pipeline.run import Run, folds_of
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Fusion, Rule, expect_alike
from pipeline.text import counted, listed
from pipeline.training.run_folder import open_run


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Several:
    """Calibrated predictions of M runs, or cross-validations, for the same videos.

    Attributes:
        folders: Of each.
        each: What each answered, in one order.
        temperatures: What the logits of each were divided by, besides its own calibration; of runs
            of the same settings, those for other videos are to be divided by it.
    """

    folders: tuple[Path, ...]
    each: tuple[Predictions, ...]
    temperatures: tuple[float, ...]

    @property
    def model(self) -> ModelConfig:
        """The network of the first, of which the task is known."""
        return self.each[0].model

    def fusion(self, rule: Rule, temperatures: Sequence[float] = ()) -> Fusion:
        """How they become one.

        Args:
            rule: See `Fusion`.
            temperatures: What their logits are divided by; none: they are calibrated already.
        """
        return Fusion(rule=rule, temperatures=tuple(temperatures) or (1.0,) * len(self.each))

    def fused(self, fusion: Fusion, calibration: Calibration | None = None) -> Predictions:
        """What all answer together."""
        first = self.each[0]
        logits = fusion.logits([each.logits for each in self.each], first.task)
        return dataclasses.replace(first, logits=logits).calibrated(calibration or Calibration())

    def calibration(self, fusion: Fusion, first: Calibration, config: RunConfig) -> Calibration:
        """The calibration of what all answer together, fitted on these videos.

        Args:
            fusion: How they become one.
            first: Of the first run, whose lengths of time stay.
            config: Of the first run.
        """
        unfitted = dataclasses.replace(first, temperature=1.0, logit_threshold=None, thresholds=())
        return fitted(unfitted, self.fused(fusion), config)


def evaluated(folders: Sequence[Path], split: Split) -> Several:
    """The answers of runs for a split; one that was not evaluated on it answers now.

    Raises:
        DataError: A run cannot be evaluated, or they are not for the same videos and classes.
    """
    runs = [Run(folder) for folder in folders]
    _expect_alike(folders, runs)
    for run in runs:
        if not predictions_file(run, split).is_file():
            with run.alone():
                predict_split(open_run(run), split)
    found = [calibrated_predictions(run, split) for run in runs]
    return _several(folders, found, [1.0] * len(found))


def cross_validated(folders: Sequence[Path]) -> Several:
    """The answers of cross-validations, of each video by a run that never saw its group.

    Those of each fold are divided by the temperature that fits all others.

    Raises:
        DataError: One is not finished, or they are not of the same videos and classes.
    """
    for folder in folders:
        if not is_crossval(folder):
            done = "is not finished. Run the same command again" if folds_of(folder) else "is none"
            raise DataError(f"expected cross-validations, and {folder} {done}")
    _expect_alike(folders, [folds_of(folder)[0] for folder in folders])
    found, temperatures = [], []
    for folder in folders:
        parts = [calibrated_predictions(run, "test") for run in folds_of(folder)]
        temperatures.append(joined(parts).fit_temperature())
        others = [joined([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]
        fitting = [each.fit_temperature() for each in others]
        found.append(joined([*map(Predictions.divided, parts, fitting)]))
    return _several(folders, found, temperatures)


def is_crossval(folder: Path) -> bool:
    """Whether a folder is that of a finished cross-validation."""
    return (folder / "crossval.json").is_file() and bool(folds_of(folder))


def _expect_alike(folders: Sequence[Path], runs: Sequence[Run]) -> None:
    """Makes sure that runs differ, and answer the same question."""
    if len(set(folders)) < len(folders):
        raise DataError(f"expected runs that differ, got {listed(map(str, folders))}")
    models = [run.config().model for run in runs]
    expect_alike(folders, models, [run.class_names() for run in runs])


def _several(
    folders: Sequence[Path], each: Sequence[Predictions], temperatures: Sequence[float]
) -> Several:
    """Several predictions, of the same videos.

    Raises:
        DataError: They are for different videos, or the labels differ.
    """
    first = each[0]
    for folder, found in zip(folders[1:], each[1:], strict=True):
        both = f"{folders[0]} and {folder} cannot be fused"
        if found.names != first.names:
            number = len(set(found.names) ^ set(first.names))
            raise DataError(
                f"{both}: {counted(number, 'video')} of the split are not those of the other. "
                "Prepare both data sets of the same videos, with the same split"
            )
        if not np.array_equal(found.video, first.video):
            raise DataError(f"{both}: they answer at different frames. Take one clip.stride")
        if not np.array_equal(found.targets, first.targets):
            raise DataError(f"{both}: the labels of their videos differ")
    return Several(folders=tuple(folders), each=tuple(each), temperatures=tuple(temperatures))


def compare(several: Several, fused: Predictions, fusion: Fusion) -> FusedResult:
    """Scores of each and of all together, and what was gained."""
    pairs, gained, lost = zip(several.folders, several.each, strict=True), None, None
    if several.model.task == "video":
        best = max(several.each, key=lambda each: each.correct.mean()).correct
        gained, lost = int((fused.correct & ~best).sum()), int((best & ~fused.correct).sum())
    return FusedResult(
        scores=fused.scores(),
        task=several.model.task,
        num_videos=len(fused.names),
        num_groups=len(set(fused.groups)),
        runs={str(folder): each.scores() for folder, each in pairs},
        rule=fusion.rule,
        gained=gained,
        lost=lost,
    )
