"""A recipe while it is tried, and what several of them are worth together.

Source: the choice of what to fuse, Caruana et al. (2004).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.evaluation.fusing import Several
from pipeline.evaluation.predictions import Predictions, joined
from pipeline.experiments.recipes import Recipe
from pipeline.tasks.fusion import RULES, Rule


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

    def shortened(self, folds: int) -> Trial:
        """What it answered in the first folds."""
        return dataclasses.replace(self, answers=self.answers[:folds])


def on_common_folds(trials: Sequence[Trial]) -> list[Trial]:
    """Trials with those folds alone that all of them have been through."""
    folds = min(len(trial.answers) for trial in trials)
    return [trial.shortened(folds) for trial in trials]


def several_of(members: Sequence[Trial]) -> Several:
    """The answers of several recipes for the same videos, each divided by what fits it best."""
    each = [joined(trial.answers) for trial in members]
    temperatures = tuple(answers.fit_temperature() for answers in each)
    return Several(
        folders=tuple(trial.folder for trial in members),
        each=tuple(map(Predictions.divided, each, temperatures)),
        temperatures=temperatures,
    )


def best_of(trials: Sequence[Trial]) -> Trial:
    """That which does best, the first of equals; two are compared on folds of both."""
    best = trials[0]
    for trial in trials[1:]:
        before, new = map(_rank, on_common_folds([best, trial]))
        best = trial if new > before else best
    return best


def _rank(trial: Trial) -> tuple[float, float]:
    return round(score_of([trial]), 4), float(likelihood([trial]).mean())


def score_of(members: Sequence[Trial]) -> float:
    """The main score of the mean of what members answer."""
    several = several_of(members)
    fused = several.fused(several.fusion("average"))
    return fused.scores().main.value or 0.0


def is_better_with(members: Sequence[Trial], other: Trial) -> bool:
    """Whether members do better with one more, by more than chance."""
    gained = gain(members, other)
    *before, last = on_common_folds([*members, other])
    is_sure = gained.mean() > gained.std() / np.sqrt(len(gained))
    return bool(is_sure) and score_of([*before, last]) >= score_of(before)


def gain(members: Sequence[Trial], other: Trial) -> np.ndarray:
    """By how much labels are more likely with one more, float (N,)."""
    *before, last = on_common_folds([*members, other])
    return likelihood([*before, last]) - likelihood(before)


def likelihood(members: Sequence[Trial], rule: Rule = "average") -> np.ndarray:
    """The log likelihood of each label, float (N,), by what members answer together."""
    several = several_of(members)
    fused = several.fused(several.fusion(rule))
    logits, labels = fused.divided(fused.fit_temperature()).known
    found: np.ndarray = fused.task.each.log_likelihood(logits, labels)
    return found


def best_rule(members: Sequence[Trial]) -> Rule:
    """The rule of fusion under which the labels are most likely."""
    return max(RULES, key=lambda rule: float(likelihood(members, rule).sum()))


def right_by_group(answers: Predictions) -> dict[str, float]:
    """What of the videos, or frames, of each group is answered rightly, 0 to 1."""
    model, valid = answers.model, answers.valid
    if model.per_frame or model.multilabel:
        same = (answers.targets == 1) == answers.answers
        right = same.all(axis=1) if model.per_frame else same.mean(axis=1)
    else:
        right = answers.correct
    groups, group = np.unique(answers.row_groups, return_inverse=True)
    counts = np.bincount(group, weights=valid, minlength=len(groups))
    sums = np.bincount(group, weights=right * valid, minlength=len(groups))
    shares = zip(groups.tolist(), sums, counts, strict=True)
    return {name: float(total / count) for name, total, count in shares if count}
