"""Fusing trained runs, and measuring what they say together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.config import RunConfig
from pipeline.config.file import differing
from pipeline.dataset.videos import data_of_run
from pipeline.errors import ConfigError
from pipeline.evaluation.frames_report import write_frames_report
from pipeline.evaluation.fusing import (
    Several,
    compare,
    cross_validated,
    evaluated,
)
from pipeline.evaluation.predict import keep_predictions
from pipeline.evaluation.report import write_fused_report
from pipeline.evaluation.results import FusedResult, RecordingResult, write_metrics
from pipeline.inference.fused import Fused, read_fused, trained_runs, write_fused
from pipeline.manifest.rows import Split
from pipeline.run import Run, folds_of
from pipeline.tasks.calibration import read_calibration
from pipeline.tasks.fusion import Fusion, Rule, expect_alike
from pipeline.text import listed

_OF_DATA: Final = ("data", "seed", "split.", "frames.flow", "frames.pose", "train.precision")
"""What a run and its cross-validation may differ in."""


def fuse(
    runs: Sequence[Run],
    out: Run,
    *,
    rule: Rule = "average",
    crossvals: Sequence[Path] = (),
) -> FusedResult | None:
    """Writes a folder that classifies by several runs; nothing of it is fitted on test videos.

    Args:
        runs: Trained and exported.
        out: The folder.
        rule: See `pipeline.tasks.fusion.Fusion`.
        crossvals: Cross-validations of the same settings, one a run, on whose answers the
            calibration is fitted; none: on those for the validation videos.

    Returns:
        What it was fitted on, compared; None: on nothing, there are no such videos.

    Raises:
        DataError: The runs cannot be fused, or one was not exported.
        ConfigError: A cross-validation is of other settings than its run.
    """
    configs = [run.config() for run in runs]
    expect_alike(
        [run.folder for run in runs],
        [config.model for config in configs],
        [run.class_names() for run in runs],
    )
    for run, config, folder in zip(runs, configs, crossvals, strict=bool(crossvals)):
        _expect_same(run, config, folder)
    several = _fitted_on(runs, crossvals)
    calibration, result = read_calibration(runs[0]), None
    ones = (1.0,) * len(runs)
    fusion = Fusion(rule=rule, temperatures=ones)
    if several is None:
        calibration = dataclasses.replace(
            calibration, temperature=1.0, logit_threshold=None, num_videos=0, thresholds=()
        )
    else:
        calibration = several.calibration(fusion, calibration, runs[0].config())
        result = compare(several, several.fused(fusion, calibration), fusion)
    fused = Fused(
        rule=rule,
        temperatures=several.temperatures if several else ones,
        calibration=calibration,
        runs=tuple(str(run.folder) for run in runs),
    )
    write_fused(fused, out)
    return result


def evaluate_fused(run: Run, split: Split) -> FusedResult:
    """Evaluates fused runs on a split, which each of them has, and writes `metrics.json`.

    A run that was not evaluated on the split answers now.

    Raises:
        DataError: A run is not where it was, or cannot be evaluated.
    """
    fused = read_fused(run)
    several = evaluated([each.folder for each in trained_runs(run, fused)], split)
    fusion = several.fusion(fused.rule, fused.temperatures)
    answers = keep_predictions(run, split, several.fused(fusion), fused.calibration)
    result = compare(several, answers, fusion)
    if isinstance(result.scores, RecordingResult):
        recordings, names = answers.recordings(), answers.class_names
        write_frames_report(run, split, result.scores, recordings, names, fused=result)
    if several.model.task == "video":
        write_fused_report(run, split, result, answers)
    write_metrics(run, split, result)
    return result


def _expect_same(run: Run, config: RunConfig, crossval: Path) -> None:
    """Makes sure that a cross-validation is of the settings of a run, whatever its splits."""
    folds = folds_of(crossval)
    changed = [
        key
        for key in (differing(config, folds[0].config()) if folds else ())
        if not key.startswith(_OF_DATA)
    ]
    if changed:
        raise ConfigError(
            f"{crossval} is of other settings than {run.folder}: {listed(changed, most=3)}. Name "
            "the cross-validation of each run, in the order of the runs"
        )


def _fitted_on(runs: Sequence[Run], crossvals: Sequence[Path]) -> Several | None:
    if crossvals:
        return cross_validated(crossvals)
    if all("val" in data_of_run(run).num_videos for run in runs):
        return evaluated([run.folder for run in runs], "val")
    return None


def fuse_as(runs: Sequence[Run], out: Run, several: Several | None, fusion: Fusion | None) -> None:
    """Writes a folder that classifies by runs whose fusion was decided.

    Args:
        runs: Trained and exported, one or more.
        out: The folder.
        several: What runs of the same settings answered for videos that they were not trained on,
            on which the calibration is fitted; None: nothing is known of that.
        fusion: How the answers become one; None: there is one run.
    """
    calibration = read_calibration(runs[0])
    if several and fusion:
        calibration = several.calibration(fusion, calibration, runs[0].config())
    fused = Fused(
        rule=fusion.rule if fusion else "average",
        temperatures=several.temperatures if several else (1.0,),
        calibration=calibration,
        runs=tuple(str(run.folder) for run in runs),
    )
    write_fused(fused, out)
