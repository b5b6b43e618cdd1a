"""What several runs say of the same videos, each alone and all together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.config import RunConfig
from pipeline.config.model import ModelConfig
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.evaluation.answering import answer
from pipeline.evaluation.answers import Answers, answers_file, joined, read_answers
from pipeline.evaluation.calibrate import fitted
from pipeline.evaluation.page import write_fused_page
from pipeline.evaluation.plots import plot_confusion, plot_per_class
from pipeline.manifest.rows import Split
from pipeline.run import Run, folds_of
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Fusion, Rule, expect_alike
from pipeline.tasks.task import task_of
from pipeline.text import counted, listed

_MOST_MISTAKES: Final = 20


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Several:
    """The answers of M runs, or cross-validations, for the same videos.

    Attributes:
        folders: Of each.
        each: What each answered, in one order.
        model: The network of the first, of which the task is known.
        class_names: C names.
        temperatures: What the logits of each were divided by, besides its own calibration; of runs
            of the same settings, those for other videos are to be divided by it.
    """

    folders: tuple[Path, ...]
    each: tuple[Answers, ...]
    model: ModelConfig
    class_names: tuple[str, ...]
    temperatures: tuple[float, ...]

    def fusion(
        self,
        rule: Rule,
        weights: Sequence[float] = (),
        temperatures: Sequence[float] = (),
    ) -> Fusion:
        """How they become one.

        Args:
            rule: See `Fusion`.
            weights: What each counts; none: all the same.
            temperatures: What their logits are divided by; none: they are calibrated already.
        """
        ones = (1.0,) * len(self.each)
        shares = tuple(map(float, weights)) or ones
        return Fusion(rule=rule, weights=shares, temperatures=tuple(temperatures) or ones)

    def fused(self, fusion: Fusion, calibration: Calibration | None = None) -> Answers:
        """What all answer together."""
        logits = fusion.logits([each.logits for each in self.each], task_of(self.model))
        return self.each[0].answered(logits, calibration or Calibration(), self.model)

    def calibration(self, fusion: Fusion, first: Calibration, config: RunConfig) -> Calibration:
        """The calibration of what all answer together, fitted on these videos.

        Args:
            fusion: How they become one.
            first: Of the first run, whose lengths of time stay.
            config: Of the first run.
        """
        known, labels = self.each[0].known(self.model)
        logits = self.fused(fusion).logits[known]
        unfitted = dataclasses.replace(first, temperature=1.0, logit_threshold=None, thresholds=())
        return fitted(unfitted, logits, labels, len(self.each[0].names), config)


def evaluated(folders: Sequence[Path], split: Split) -> Several:
    """The answers of runs for a split; one that was not evaluated on it answers now.

    Raises:
        DataError: A run cannot be evaluated, or they are not for the same videos and classes.
    """
    kinds = _kinds(folders, [Run(folder) for folder in folders])
    found = []
    for run, (model, names) in kinds.items():
        if not answers_file(run, split, model).is_file():
            with run.alone():
                answer(run, split)
        found.append(read_answers([run], split, model, names))
    return _several(folders, found, *next(iter(kinds.values())), [1.0] * len(found))


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
    kinds = _kinds(folders, [folds_of(folder)[0] for folder in folders])
    found, temperatures = [], []
    for folder, (model, names) in zip(folders, kinds.values(), strict=True):
        parts = [read_answers([run], "test", model, names) for run in folds_of(folder)]
        temperatures.append(joined(parts).temperature(model))
        others = [joined([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]
        fitting = [each.temperature(model) for each in others]
        found.append(joined([*map(Answers.divided, parts, fitting)]))
    return _several(folders, found, *next(iter(kinds.values())), temperatures)


def is_crossval(folder: Path) -> bool:
    """Whether a folder is that of a finished cross-validation."""
    return (folder / "crossval.json").is_file() and bool(folds_of(folder))


def _kinds(
    folders: Sequence[Path], runs: Sequence[Run]
) -> dict[Run, tuple[ModelConfig, list[str]]]:
    """The network and the class names of runs, which answer the same question."""
    if len(set(folders)) < len(folders):
        raise DataError(f"expected runs that differ, got {listed(map(str, folders))}")
    kinds = {run: (run.config().model, run.class_names()) for run in runs}
    models, names = zip(*kinds.values(), strict=True)
    expect_alike(folders, models, names)
    return kinds


def _several(
    folders: Sequence[Path],
    found: Sequence[Answers],
    model: ModelConfig,
    names: Sequence[str],
    temperatures: Sequence[float],
) -> Several:
    return Several(
        folders=tuple(folders),
        each=_matched(folders, found),
        model=model,
        class_names=tuple(names),
        temperatures=tuple(temperatures),
    )


def _matched(folders: Sequence[Path], each: Sequence[Answers]) -> tuple[Answers, ...]:
    """The same answers, by video.

    Raises:
        DataError: They are for different videos, or the labels differ.
    """
    sorted_ = tuple(answers.by_name() for answers in each)
    first = sorted_[0]
    for folder, answers in zip(folders[1:], sorted_[1:], strict=True):
        both = f"{folders[0]} and {folder} cannot be fused"
        if answers.names != first.names:
            number = len(set(answers.names) ^ set(first.names))
            raise DataError(
                f"{both}: {counted(number, 'video')} of the split are not those of the other. "
                "Prepare both data sets of the same videos, with the same split"
            )
        if answers.num_frames != first.num_frames:
            raise DataError(f"{both}: they answer at different frames. Take one clip.stride")
        if not np.array_equal(answers.labels, first.labels):
            raise DataError(f"{both}: the labels of their videos differ")
    return sorted_


def report(
    run: Run, split: Split, several: Several, answers: Answers, result: Mapping[str, Any]
) -> None:
    """Writes the page of fused runs of task video, of what `compare` gives."""
    names, found = several.class_names, answers.holds.argmax(axis=1)
    run.report.mkdir(exist_ok=True)
    counts = metrics.confusion(found, answers.labels, len(names))
    plot_confusion(counts, names, run.report / f"{split}_confusion.png")
    plot_per_class(result["per_class"], run.report / f"{split}_per_class.png")
    highest = task_of(several.model).probabilities(answers.logits).max(axis=1)
    wrong = np.flatnonzero(~answers.correct)
    mistakes = [
        {
            "video": answers.names[index],
            "label": names[answers.labels[index]],
            "answer": names[found[index]],
            "probability": float(highest[index]),
        }
        for index in wrong[np.argsort(-highest[wrong], kind="stable")][:_MOST_MISTAKES]
    ]
    write_fused_page(run, split, names, "fused.html", {"result": result, "mistakes": mistakes})


def compare(several: Several, fused: Answers, fusion: Fusion) -> dict[str, Any]:
    """Scores of each and of all together, as `metrics.json` has them, and what was gained.

    Returns:
        The scores of all together, see `Answers.scores`; `task`, `num_videos` and `num_groups`;
        `runs`, the scores of each by its folder; `rule` and `weights`; and of task video `gained`
        and `lost`, how many videos are right that the best run alone has wrong, and the other way
        round.
    """
    names = several.class_names
    alone = {
        str(folder): each.scores(several.model, names)
        for folder, each in zip(several.folders, several.each, strict=True)
    }
    result: dict[str, Any] = {
        **fused.scores(several.model, names),
        "task": several.model.task,
        "num_videos": len(fused.names),
        "num_groups": len(set(fused.groups)),
        "runs": alone,
        "rule": fusion.rule,
        "weights": list(fusion.weights),
    }
    if several.model.task == "video":
        best = max(several.each, key=lambda each: each.correct.mean()).correct
        result |= {
            "gained": int((fused.correct & ~best).sum()),
            "lost": int((best & ~fused.correct).sum()),
        }
    return result
