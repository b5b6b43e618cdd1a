"""Recipes against each other, fold by fold of the training videos.

Source: racing, Maron and Moore (1994); the choice of what to fuse, Caruana et al. (2004).
"""

from __future__ import annotations

import dataclasses
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
    joined_answers,
    several_of,
)
from pipeline.tasks.frames import Frames
from pipeline.tasks.fusion import RULES, Rule
from pipeline.tasks.task import task_of
from pipeline.training.fit import DivergenceError

_MOST_FUSED: Final = 4
_SMALL: Final = 0.2
"""Share of the budget that a second member may take, for time to be left for it."""
_DEARER: Final = 2.0
_EXPORT_SECONDS: Final = 12.0
_SPARE: Final = 0.06
"""Share of the budget that is left for what cannot be foreseen."""


class Clock:
    """The time that is spent, also by earlier calls that were stopped.

    Attributes:
        budget: Seconds that may be spent.
    """

    def __init__(self, file: Path, budget: float) -> None:
        self._file, self.budget = file, budget
        self._before = json.loads(file.read_bytes())["seconds"] if file.is_file() else 0.0
        self._start = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return float(self._before) + time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds that may still be used."""
        return self.budget * (1 - _SPARE) - self.spent

    def note(self) -> None:
        """Keeps what is spent."""
        write_json(self._file, {"seconds": round(self.spent, 1)})


class Race:
    """Fold by fold, those recipes go on that are not clearly behind.

    Args:
        trials: The recipes, the cheapest first.
        folds: How many there are.
        class_names: C names.
        main: The score by which they are compared.
        watch: The time that there is.
    """

    def __init__(
        self,
        trials: list[Trial],
        folds: int,
        class_names: list[str],
        main: MainScore,
        watch: Clock,
    ) -> None:
        self._trials, self._folds, self._names = trials, folds, class_names
        self._main, self._watch = main, watch

    def run(self) -> None:
        """Tries all, a fold at a time."""
        for fold in range(1, self._folds + 1):
            for trial in self._trials:
                if not trial.status:
                    self._try(trial, fold)
            self._drop()
            self._watch.note()

    def members(self) -> list[Trial]:
        """The best, and those that make it better, as far as there is time to train them all.

        Recipes are compared on the folds that two of them have been through at least.

        Raises:
            DataError: None could be tried.
        """
        counts = sorted((len(trial.answers) for trial in self._trials), reverse=True)
        depth = counts[1] if len(counts) > 1 and counts[1] else counts[0]
        if not depth:
            raise DataError("no recipe could be tried in the time. Give it a larger --budget")
        tried = [_shortened(trial, depth) for trial in self._trials if len(trial.answers) >= depth]
        ranked = sorted(tried, key=self._rank, reverse=True)
        members = ranked[:1]
        while depth > 1 and len(members) < _MOST_FUSED:
            better = [each for each in ranked if each not in members and self._adds(members, each)]
            better = [e for e in better if _last_seconds([*members, e]) < self._watch.left]
            if not better:
                break
            members.append(max(better, key=lambda each: self._likelihood([*members, each]).sum()))
        return members

    def _try(self, trial: Trial, fold: int) -> None:
        if not is_tried(trial.folder, fold) and not self._has_time(trial):
            trial.status = "no time"
            return
        try:
            answers, seconds = held_out(trial.config, trial.folder, fold, self._folds, self._names)
        except DivergenceError:
            trial.status = "diverged"
            return
        trial.answers.append(answers)
        trial.seconds.append(seconds)
        score = self._main.of(answers.scores(trial.config.model, self._names))
        print(
            f"{trial.recipe.name}, fold {fold}/{self._folds}: {self._main.text(score)}, "
            f"{seconds:.0f} s",
            flush=True,
        )

    def _has_time(self, trial: Trial) -> bool:
        """Whether there is time for a fold more, and for the last training after it."""
        expected = trial.next_seconds
        if not expected:  # Recipes get dearer.
            expected = _DEARER * max(each.next_seconds for each in self._trials)
        return self._watch.left - self._last_training() > expected

    def _last_training(self) -> float:
        """Seconds that training the best on all videos takes, about, if two are fused."""
        going = [trial for trial in self._trials if trial.answers and not trial.status]
        ranked = sorted(going, key=lambda t: (len(t.answers), self._rank(t)), reverse=True)
        best, others = ranked[:1], ranked[1:]
        cheap = [o for o in others if _last_seconds([o]) < _SMALL * self._watch.budget]
        return _last_seconds([*best, *cheap[:1]])

    def _drop(self) -> None:
        """Takes out what is behind the best with confidence."""
        going = [trial for trial in self._trials if not trial.status]
        if len(going) < 2 or len(going[0].answers) < 2:
            return
        best = max(going, key=self._rank)
        for trial in going:
            difference = correct_of(trial) - correct_of(best)
            groups = list(itertools.chain.from_iterable(each.groups for each in trial.answers))
            interval = difference_interval(difference, groups)
            if trial is not best and interval and interval[1] < 0:
                trial.status = f"behind after {len(trial.answers)} folds"

    def _rank(self, trial: Trial) -> tuple[float, float]:
        score = self._main.of(joined_answers(trial).scores(trial.config.model, self._names)) or 0.0
        return round(score, 4), float(self._likelihood([trial]).mean())

    def rule(self, members: Sequence[Trial]) -> Rule:
        """The rule of fusion under which their labels are most likely."""
        return max(RULES, key=lambda rule: float(self._likelihood(members, rule).sum()))

    def _likelihood(self, members: Sequence[Trial], rule: Rule = "average") -> np.ndarray:
        """The log likelihood of each label, float (N,), by what members answer together."""
        several = several_of(members, self._names)
        model = members[0].config.model
        task = task_of(model)
        each = task.each if isinstance(task, Frames) else task
        known, labels = several.each[0].known(model)
        logits = several.fused(several.fusion(rule)).logits[known]
        temperature = each.fit_temperature(logits, labels)
        found: np.ndarray = each.log_likelihood(logits / temperature, labels)
        return found

    def _score(self, members: Sequence[Trial]) -> float:
        several = several_of(members, self._names)
        fused = several.fused(several.fusion("average"))
        return self._main.of(fused.scores(several.model, self._names)) or 0.0

    def _adds(self, members: Sequence[Trial], other: Trial) -> bool:
        """Whether labels are clearly more likely with one more, and answers no worse."""
        gain = self._likelihood([*members, other]) - self._likelihood(members)
        error = gain.std() / math.sqrt(len(gain))
        before, after = self._score(members), self._score([*members, other])
        return bool(gain.mean() > error and after >= before)


def _last_seconds(members: Sequence[Trial]) -> float:
    """What training members on all videos takes, more than a fold has, and exporting them."""
    return sum(1.25 * trial.next_seconds + _EXPORT_SECONDS for trial in members)


def _shortened(trial: Trial, folds: int) -> Trial:
    return dataclasses.replace(trial, answers=trial.answers[:folds])
