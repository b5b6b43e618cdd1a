"""Cross-validation: each video is tested once, by a model that never saw its group."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.atomic import write_json
from pipeline.config import RunConfig, expect
from pipeline.config.file import differing, load_config, save_config
from pipeline.dataset.resplit import count_folds, with_splits
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.evaluation import metrics
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.intervals import accuracy_interval
from pipeline.evaluation.plots import plot_confusion
from pipeline.experiments.search import Search
from pipeline.locks import alone
from pipeline.run import Run
from pipeline.text import listed
from pipeline.training.fit import train
from pipeline.training.precision import decide_precision
from pipeline.training.run_folder import is_trained

_CONFIG, _DONE = "crossval.toml", "fold.json"


@dataclasses.dataclass(frozen=True)
class Answers:
    """Logits of all videos, each from the model of a fold that did not see it.

    Attributes:
        videos: Path of each video.
        groups: Group of each.
        labels: int64 (N,).
        answers: int64 (N,), the most probable class of each.
    """

    videos: list[str]
    groups: list[str]
    labels: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Videos that were answered rightly, bool (N,)."""
        correct: npt.NDArray[np.bool_] = self.answers == self.labels
        return correct


def cross_validate(
    config: RunConfig, folder: Path, *, overwrite: bool = False, choose: Search | None = None
) -> dict[str, Any]:
    """Trains and tests a model for each fold of a data set.

    What was finished before is not done again: not a fold, and not an epoch of one. Meanwhile no
    other process can cross-validate into the folder.

    Args:
        config: The run of each fold; `split.folds` says how many there are.
        folder: Where they go: `fold-01` and so on, each a run of its own, and what all of them
            say together: `crossval.json`, `confusion.png`.
        overwrite: Whether a cross-validation with other settings that is there is replaced.
        choose: Searchs the settings of each fold; None: all are those of `config`.

    Returns:
        What `crossval.json` then holds: for each fold its accuracy and seconds, those of earlier
        calls as well; their mean and standard deviation; the accuracy over all videos with its
        95 % interval over groups; and, if there are any, the leaks of all folds.

    Raises:
        ConfigError: There are no folds, or the folder holds something else, or another process is
            at it.
        DataError: The data set cannot be used, or one of its folds cannot.
        KeyboardInterrupt: Ctrl-C was pressed; the same call goes on.
    """
    expect(bool(config.split.folds), "split.folds must be at least 2, or groups", 0)
    with alone(folder, "cross-validating in", "name another folder (--out)"):
        return _cross_validate(config, folder, choose, overwrite=overwrite)


def _cross_validate(
    config: RunConfig, folder: Path, choose: Search | None, *, overwrite: bool
) -> dict[str, Any]:
    data = open_data(Path(config.data), config.frames, config.split)
    config = dataclasses.replace(config, frames=data.frames)
    num_folds = count_folds(data.manifest, config.split)
    splits = [dataclasses.replace(config.split, fold=fold + 1) for fold in range(num_folds)]
    # Opening all says before hours of training if one cannot be.
    leaks = dict.fromkeys(leak for split in splits for leak in with_splits(data, split).leaks)
    begun = folder / _CONFIG
    config = decide_precision(config, begun if begun.is_file() and not overwrite else None)
    _start(config, folder, data.fingerprint, choose, overwrite=overwrite)
    folds = []
    for split in splits:
        run = Run(folder / f"fold-{split.fold:02d}")
        result = _fold(dataclasses.replace(config, split=split), run, choose)
        folds.append({"fold": split.fold, **result})
        print(f"fold {split.fold}/{num_folds}: top-1 {result['top1']:.3f}", flush=True)
    answers = read_answers(folder, data.class_names)
    result = summarise(folds, answers, data.class_names)
    if leaks:
        result["leaks"] = list(leaks)
    counts = metrics.confusion(answers.answers, answers.labels, len(data.class_names))
    plot_confusion(counts, data.class_names, folder / "confusion.png")
    write_json(folder / "crossval.json", result)
    return result


def _start(
    config: RunConfig, folder: Path, fingerprint: str, choose: Search | None, *, overwrite: bool
) -> None:
    """Makes the folder; what is in it says whether it holds the same cross-validation."""
    file, other_file = folder / _CONFIG, folder / "crossval-of.json"
    wanted = {"data": fingerprint, "search": choose.describe() if choose else None}
    if folder.exists() and any(folder.iterdir()):
        if not other_file.is_file():
            raise ConfigError(f"{folder} is not the folder of a cross-validation. Name another")
        found = json.loads(other_file.read_bytes())
        changed = differing(load_config(file), config) if file.is_file() else []
        changed += [name for name, value in wanted.items() if found.get(name) != value]
        if changed and not overwrite:
            raise ConfigError(
                f"{folder} holds a cross-validation with another {listed(changed)}. Name another "
                "folder (--out) or replace it (--overwrite)"
            )
        if overwrite:
            for fold in folder.glob("fold-*"):
                shutil.rmtree(fold)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(other_file, wanted)
    save_config(config, file)


def _fold(config: RunConfig, run: Run, choose: Search | None) -> dict[str, Any]:
    """Trains and tests one fold, unless that was done; gives accuracy and seconds in all."""
    done = run.folder / _DONE
    if done.is_file():
        result: dict[str, Any] = json.loads(done.read_bytes())
        return result
    started = time.perf_counter()
    before = 0.0
    if choose:
        search = run.folder.with_name(f"{run.folder.name}-search")
        before += choose.seconds(search)
        config = choose(config, search)
    is_other = _is_other(run, config)
    if not is_other:
        before += _seconds(run)
    if is_other or not is_trained(run):
        train(config, run.folder, overwrite=is_other)
    test = evaluate(run)
    result = {
        "top1": test["video"]["top1"],
        "num_videos": test["num_videos"],
        "seconds": round(before + time.perf_counter() - started, 1),
    }
    write_json(done, result)
    return result


def _is_other(run: Run, config: RunConfig) -> bool:
    """Whether what is in the folder is not this run or the beginning of it."""
    if not run.config_file.is_file():
        return True
    try:
        return bool(differing(run.config(), config))
    except PipelineError:
        return True


def _seconds(run: Run) -> float:
    """Seconds of the epochs that a training had before it was stopped."""
    try:
        return sum(row["seconds"] for row in run.history())
    except DataError:  # The training that goes on says so.
        return 0.0


def read_answers(folder: Path, class_names: Sequence[str]) -> Answers:
    """Reads what the models of all folds said of their test videos."""
    rows = []
    for path in sorted(folder.glob("fold-*/report/test_predictions.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    index = {name: number for number, name in enumerate(class_names)}
    return Answers(
        videos=[row["video"] for row in rows],
        groups=[row["group"] for row in rows],
        labels=np.array([index[row["label"]] for row in rows], np.int64),
        answers=np.array([index[row["predicted"]] for row in rows], np.int64),
    )


def summarise(
    folds: Sequence[dict[str, Any]], answers: Answers, class_names: Sequence[str]
) -> dict[str, Any]:
    """Accuracy by fold and over all videos, and what is said of each class."""
    accuracies = [fold["top1"] for fold in folds]
    return {
        "top1": float(answers.correct.mean()),
        "top1_interval95": accuracy_interval(answers.correct, answers.groups),
        "fold_mean": float(np.mean(accuracies)),
        "fold_standard_deviation": float(np.std(accuracies, ddof=1)),
        "chance": metrics.chance(answers.labels),
        "num_videos": len(answers.videos),
        "num_groups": len(set(answers.groups)),
        "seconds": round(sum(fold["seconds"] for fold in folds), 1),
        "per_class": metrics.per_class(answers.answers, answers.labels, class_names),
        "folds": list(folds),
    }
