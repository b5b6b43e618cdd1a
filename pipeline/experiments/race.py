"""Recipes against each other, on folds of the training videos.

Source: racing, Maron and Moore (1994); the choice of what to fuse, Caruana et al. (2004).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.atomic import write_json
from pipeline.errors import DataError
from pipeline.evaluation.intervals import difference_interval
from pipeline.evaluation.main_score import MainScore
from pipeline.experiments.trial import (
    Trial,
    correct_of,
    held_out,
    is_tried,
    several_of,
)
from pipeline.tasks.fusion import RULES, Rule
from pipeline.text import clock
from pipeline.training.callbacks import OutOfTimeError
from pipeline.training.fit import DivergenceError

_MOST_FUSED: Final = 4
_MORE_SEEDS: Final = 2
_ENOUGH_VIDEOS: Final = 150
"""Answers by which recipes are compared before any of them is tried further, if they can be."""
_EXPORT_SECONDS: Final = 12.0
_LAST_SHARE: Final = 1.25
"""Of the seconds of a fold, what training on all videos takes."""
_MOST_OVER: Final = 1.1
"""Of the budget, when the last training ends wherever it is."""
_SPARE: Final = 0.06
"""Share of the budget that is left for what cannot be foreseen."""


class Clock:
    """The time that is spent, also by earlier calls that were stopped.

    Args:
        file: Where it is kept.
        budget: Seconds that may be spent.
        began: When this call did, by `time.monotonic`; None: now.
    """

    def __init__(self, file: Path, budget: float, began: float | None = None) -> None:
        self._file, self.budget = file, budget
        self._before = json.loads(file.read_bytes())["seconds"] if file.is_file() else 0.0
        self._start = time.monotonic() if began is None else began

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return float(self._before) + time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds that may still be used."""
        return self.budget * (1 - _SPARE) - self.spent

    def for_each(self, number: int) -> float:
        """Seconds that each of so many trainings may take at most, before it is exported."""
        most = _MOST_OVER * self.budget - self.spent
        return max(0.0, most / max(number, 1) - _EXPORT_SECONDS)

    def least(self, more: float) -> float:
        """The budget with which there is time for so many seconds more."""
        return (self.spent + more) / (1 - _SPARE)

    def note(self) -> None:
        """Keeps what is spent."""
        write_json(self._file, {"seconds": round(self.spent, 1)})


class Race:
    """Recipe after recipe is tried, fold by fold, for as long as it may be of use.

    Args:
        trials: The recipes, in the order in which they are tried.
        folds: How many there are.
        main: The score by which they are compared.
        watch: The time that there is.
    """

    def __init__(
        self,
        trials: list[Trial],
        folds: int,
        main: MainScore,
        watch: Clock,
    ) -> None:
        self._trials, self._folds = trials, folds
        self._main, self._watch = main, watch

    def run(self) -> None:
        """Tries all that there is time for; what is left goes into the best, of other seeds."""
        different = [trial for trial in self._trials if not trial.recipe.is_variant]
        for trials, enough in (
            (different, 0),
            (different, _ENOUGH_VIDEOS),
            (self._trials, _ENOUGH_VIDEOS),
            (self._trials, math.inf),
        ):
            for trial in trials:
                self._follow(trial, enough)
        if any(trial.answers for trial in self._trials):
            self._repeat()

    def members(self) -> list[Trial]:
        """The best, and those that make it better, as far as there is time to train them all.

        Recipes are compared on the folds that all of them have been through. One fold is enough
        only where none has more.

        Raises:
            DataError: None could be tried.
        """
        most = max(len(trial.answers) for trial in self._trials)
        if not most:
            raise DataError("no recipe could be tried in the time. Give it a larger --budget")
        tried = [trial for trial in self._trials if len(trial.answers) >= min(2, most)]
        members = [functools.reduce(self._better, tried)]
        while most > 1 and len(members) < _MOST_FUSED:
            gains = {t: self._gain(members, t) for t in tried if t not in members}
            adding = [
                trial
                for trial, gain in gains.items()
                if gain.mean() > gain.std() / math.sqrt(len(gain))
                and self._is_no_worse(members, trial)
                and self._last_seconds([*members, trial]) < self._watch.left
            ]
            if not adding:
                break
            members.append(max(adding, key=lambda trial: float(gains[trial].mean())))
        return _on_common_folds(members)

    def rule(self, members: Sequence[Trial]) -> Rule:
        """The rule of fusion under which their labels are most likely."""
        return max(RULES, key=lambda rule: float(self._likelihood(members, rule).sum()))

    def _follow(self, trial: Trial, enough: float = math.inf) -> None:
        """Tries a recipe, until it has answered for so many videos, in two folds at least."""
        while len(trial.answers) < self._folds and not trial.status:
            if len(trial.answers) > 1 and sum(len(a.names) for a in trial.answers) >= enough:
                return
            self._try(trial)
            if self._is_of_no_use(trial):
                trial.status = f"behind after {len(trial.answers)} folds"
        self._watch.note()

    def _repeat(self) -> None:
        seeded = [trial for trial in self.members() if not trial.config.is_linear]
        for best in seeded[:1]:
            for seed in range(1, _MORE_SEEDS + 1):
                self._trials.append(best.of_seed(best.config.seed + seed))
                self._follow(self._trials[-1])

    def _try(self, trial: Trial) -> None:
        fold = len(trial.answers) + 1
        if not is_tried(trial.folder, fold):
            if not self._has_time(trial):
                trial.status = "no time"
                return
            if fold == 1:
                seconds = self._fold_seconds(trial)
                about = f", about {clock(seconds)} each" if seconds else ""
                print(f"{trial.recipe.name}: begins with fold 1{about}", flush=True)
        try:
            answers, seconds = held_out(
                trial.config, trial.folder, fold, self._folds, self._most_seconds(trial)
            )
        except DivergenceError:
            trial.status = "diverged"
            return
        except OutOfTimeError:
            trial.status = "no time"
            return
        trial.answers.append(answers)
        trial.seconds.append(seconds)
        score = self._main.of(answers.scores())
        print(
            f"{trial.recipe.name}, fold {fold}/{self._folds}: {self._main.text(score)}, "
            f"{seconds:.0f} s",
            flush=True,
        )

    def _has_time(self, trial: Trial) -> bool:
        """Whether there is time for a fold more, and for the last training after it.

        Of what sees a recipe for the first time, two are needed for it to be compared.
        """
        others = self._others(trial) if any(each.answers for each in self._trials) else []
        folds = 2 if others and not trial.answers else 1
        last = self._last_seconds([*others, trial])
        return self._watch.left - last > folds * self._fold_seconds(trial)

    def _most_seconds(self, trial: Trial) -> float:
        """What a fold may take, so that there is time for the last training after it."""
        if any(each.answers for each in self._trials):
            return self._watch.left - self._last_seconds([*self._others(trial), trial])
        return (self._watch.left - _EXPORT_SECONDS) / (1 + _LAST_SHARE)

    def _others(self, trial: Trial) -> list[Trial]:
        """Who would be fused, but one."""
        return [member for member in self.members() if member.folder != trial.folder]

    def _fold_seconds(self, trial: Trial) -> float:
        """What a fold of a recipe takes, about; 0 while nothing is known of any."""
        if trial.seconds:
            return trial.seconds[-1]
        rates = [each.seconds[-1] / each.recipe.cost for each in self._trials if each.seconds]
        return max(rates, default=0.0) * trial.recipe.cost

    def _last_seconds(self, members: Sequence[Trial]) -> float:
        return sum(last_seconds(self._fold_seconds(trial)) for trial in members)

    def _is_of_no_use(self, trial: Trial) -> bool:
        """Whether it is behind another with confidence, and adds nothing to the best so far."""
        number = len(trial.answers)
        others = [t for t in self._trials if t is not trial and len(t.answers) >= number > 1]
        if not others:
            return False
        best = _shortened(functools.reduce(self._better, others), number)
        groups = list(itertools.chain.from_iterable(each.groups for each in trial.answers))
        interval = difference_interval(correct_of(trial) - correct_of(best), groups)
        if not interval or interval[1] >= 0:
            return False
        return bool(self._gain(self._others(trial) or [best], trial).mean() <= 0)

    def _better(self, one: Trial, other: Trial) -> Trial:
        """That which does better on the folds that both have been through, else the first."""
        first, second = map(self._rank, _on_common_folds([one, other]))
        return other if second > first else one

    def _rank(self, trial: Trial) -> tuple[float, float]:
        return round(self._score([trial]), 4), float(self._likelihood([trial]).mean())

    def _score(self, members: Sequence[Trial]) -> float:
        several = several_of(members)
        fused = several.fused(several.fusion("average"))
        return self._main.of(fused.scores()) or 0.0

    def _is_no_worse(self, members: Sequence[Trial], other: Trial) -> bool:
        *before, last = _on_common_folds([*members, other])
        return self._score([*before, last]) >= self._score(before)

    def _gain(self, members: Sequence[Trial], other: Trial) -> np.ndarray:
        """By how much labels are more likely with one more, float (N,)."""
        *before, last = _on_common_folds([*members, other])
        return self._likelihood([*before, last]) - self._likelihood(before)

    def _likelihood(self, members: Sequence[Trial], rule: Rule = "average") -> np.ndarray:
        """The log likelihood of each label, float (N,), by what members answer together."""
        several = several_of(members)
        fused = several.fused(several.fusion(rule))
        logits, labels = fused.divided(fused.fit_temperature()).known
        found: np.ndarray = fused.task.each.log_likelihood(logits, labels)
        return found


def last_seconds(fold_seconds: float) -> float:
    """What training on all videos takes, more than a fold has, and exporting."""
    return _LAST_SHARE * fold_seconds + _EXPORT_SECONDS


def _on_common_folds(trials: Sequence[Trial]) -> list[Trial]:
    folds = min(len(trial.answers) for trial in trials)
    return [_shortened(trial, folds) for trial in trials]


def _shortened(trial: Trial, folds: int) -> Trial:
    return dataclasses.replace(trial, answers=trial.answers[:folds])
