"""Cross-validation: each video is tested once, by a model that never saw its group."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.atomic import write_json
from pipeline.config import RunConfig, expect
from pipeline.dataset.videos import resolve
from pipeline.evaluation import metrics
from pipeline.evaluation.plots import plot_confusion
from pipeline.evaluation.predictions import Predictions, calibrated_predictions, joined
from pipeline.evaluation.results import (
    CrossvalResult,
    FoldResult,
    Measured,
    Scores,
    as_json,
)
from pipeline.experiments.jobs import HERE, Executor, Job, measure_all
from pipeline.experiments.runs import Experiment, begin, measured_before
from pipeline.experiments.search import Search
from pipeline.locks import in_turn
from pipeline.manifest.split import count_folds
from pipeline.prepare.prepared import PreparedDataset, held_open
from pipeline.run import Run, folds_of

_EXPERIMENT: Final = Experiment("crossval", "a cross-validation", "fold-*")


def in_folds(config: RunConfig) -> RunConfig:
    """The same run as one of 5 folds, if it does not say of how many."""
    if config.split.folds:
        return config
    return dataclasses.replace(config, split=dataclasses.replace(config.split, folds=5))


@held_open()
def cross_validate(
    config: RunConfig,
    folder: Path,
    *,
    overwrite: bool = False,
    choose: Search | None = None,
    executor: Executor = HERE,
) -> CrossvalResult:
    """Trains and tests a model for each fold of a data set.

    What was finished before is not done again: not a fold, and not an epoch of one. Several calls
    in one folder share the folds.

    Args:
        config: The run of each fold; `split.folds` says how many there are.
        folder: Where they go: `fold-01` and so on, each a run of its own, and what all of them
            say together: `crossval.json` and, of task video, `confusion.png`.
        overwrite: Whether a cross-validation with other settings that is there is replaced.
        choose: Searches the settings of each fold; None: all are those of `config`.
        executor: Who works on the folds.

    Raises:
        ConfigError: There are no folds, or the folder holds something else, or another process is
            at it.
        DataError: The data set cannot be used, or one of its folds cannot.
        KeyboardInterrupt: Ctrl-C was pressed; the same call goes on.
    """
    expect(bool(config.split.folds), "split.folds must be at least 2, or groups", 0)
    folds = begin_folds(config, folder, choose, overwrite=overwrite)
    measure_all(folds.jobs, tell_fold, executor)
    return summarise(folds)


@dataclasses.dataclass(frozen=True)
class Folds:
    """A cross-validation that was begun.

    Attributes:
        config: Its run, as it is of its data set.
        folder: Where it goes.
        opened: The data set by fold.
        jobs: What is to be measured.
    """

    config: RunConfig
    folder: Path
    opened: Sequence[PreparedDataset]
    jobs: Sequence[Job]


def begin_folds(
    config: RunConfig,
    folder: Path,
    choose: Search | None = None,
    *,
    title: str = "",
    overwrite: bool = False,
) -> Folds:
    """Begins a cross-validation, see `cross_validate`; the title stands before each fold's."""
    data, config = resolve(config)
    if choose:
        choose.check(config)
    numbers = range(1, count_folds(data.manifest, config.split.folds) + 1)
    splits = [dataclasses.replace(config.split, fold=number) for number in numbers]
    # Opening all says before hours of training if one cannot be.
    opened = [data.with_splits(split) for split in splits]
    facts = {"data": data.fingerprint, "search": choose.describe() if choose else None}
    with in_turn(folder, "beginning in"):
        config = begin(_EXPERIMENT, config, folder, facts, overwrite=overwrite)
    jobs = [
        Job(
            f"{title}{', ' if title else ''}fold {split.fold}/{len(splits)}",
            dataclasses.replace(config, split=split),
            videos.fingerprint,
            Run(folder / f"fold-{split.fold:02d}"),
            "test",
            choose,
        )
        for split, videos in zip(splits, opened, strict=True)
    ]
    return Folds(config, folder, opened, jobs)


def tell_fold(job: Job, found: Measured) -> None:
    """Prints the main score of a fold."""
    print(f"{job.title}: {found.main.text}", flush=True)


def summarise(folds: Folds) -> CrossvalResult:
    """Writes and returns what all folds say together, which are measured; see `cross_validate`."""
    found = list(filter(None, (measured_before(job.run) for job in folds.jobs)))
    of_each = {
        name: [value for each in found if (value := each.scores[name]) is not None]
        for name in found[0].scores
    }
    num_videos = [videos.num_videos["test"] for videos in folds.opened]
    numbered = enumerate(zip(num_videos, found, strict=True), 1)
    result = CrossvalResult(
        main_score=found[0].main.name,
        folds=[FoldResult(number, *each) for number, each in numbered],
        fold_mean={name: float(np.mean(v)) if v else None for name, v in of_each.items()},
        fold_standard_deviation={
            name: float(np.std(values, ddof=1)) if len(values) > 1 else None
            for name, values in of_each.items()
        },
        seconds=round(sum(each.seconds for each in found), 1),
        scores=_pooled(folds.folder),
        leaks=list(dict.fromkeys(leak for videos in folds.opened for leak in videos.leaks)),
    )
    write_json(folds.folder / "crossval.json", as_json(result))
    return result


def predictions_of_folds(folder: Path) -> Predictions:
    """What the runs of a cross-validation answered, each for the videos that it never saw."""
    return joined([calibrated_predictions(run, "test") for run in folds_of(folder)])


def _pooled(folder: Path) -> Scores:
    """Scores of all test videos of all folds; of task video with a picture."""
    found = predictions_of_folds(folder)
    if found.model.task == "video":
        names = found.class_names
        counts = metrics.confusion(found.answers.argmax(axis=1), found.targets, len(names))
        plot_confusion(counts, names, folder / "confusion.png")
    return found.scores()
