"""Recipes as trials of a study: what is behind is given up, the best are fused.

Source: trials and their pruning, Akiba et al. (2019), by Wilcoxon's signed-rank test (1945) on the
groups of the videos that were held out.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

import optuna

from pipeline.errors import DataError
from pipeline.experiments.budget import Clock, last_seconds, longest_fold
from pipeline.experiments.inner import (
    held_out,
    hold_out,
    is_held_out,
    logged_to,
    whatever_it_answers,
)
from pipeline.experiments.trial import (
    Trial,
    best_of,
    gain,
    is_better_with,
    on_common_folds,
    right_by_group,
    score_of,
)
from pipeline.text import clock
from pipeline.training.callbacks import OutOfTimeError
from pipeline.training.fit import DivergenceError

_FEWEST_FOLDS: Final = 2
"""Of a recipe that is compared with others, where one is through more than one."""
_MOST_FUSED: Final = 4
_MORE_SEEDS: Final = 2
_BY_CHANCE: Final = 0.05
"""Probability below which a recipe that is as good as the best would be as far behind."""
_HIGHEST_SEED: Final = 2**32 - 1


class Trials:
    """Recipes that are tried one after the other, fold by fold, as long as they may be of use.

    The study is in memory alone: what a fold gave is read from its run, so that the same call goes
    on where one was stopped.

    Args:
        recipes: Not tried yet, in the order in which they are to be.
        folds: How many there are.
        watch: The time that there is.
    """

    def __init__(self, recipes: Sequence[Trial], folds: int, watch: Clock) -> None:
        self.tried: list[Trial] = []
        self._recipes = {trial.recipe.name: trial for trial in recipes}
        self._folds, self._watch = folds, watch
        self._groups: dict[str, int] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize", pruner=_pruner())

    def run(self) -> None:
        """Tries all that there is time for; what is left goes into the best, of other seeds."""
        self._try([(name, trial.config.seed) for name, trial in self._recipes.items()])
        best = self.members()[0] if self._answered else None
        if best and not best.config.is_linear:
            seeds = range(best.config.seed + 1, best.config.seed + 1 + _MORE_SEEDS)
            self._try([(best.recipe.name, seed) for seed in seeds])

    def members(self) -> list[Trial]:
        """The best, and those that make it better, as far as there is time to train them all.

        Recipes are compared on the folds that all of them have been through. One fold is enough
        only where none has more.

        Raises:
            DataError: None could be tried.
        """
        if not self._answered:
            raise DataError("no recipe could be tried in the time. Give it a larger --budget")
        most = max(len(trial.answers) for trial in self._answered)
        enough = min(_FEWEST_FOLDS, most)
        able = [trial for trial in self._answered if len(trial.answers) >= enough]
        members = [best_of(able)]
        while most > 1 and len(members) < _MOST_FUSED:
            adding = [
                trial
                for trial in able
                if trial not in members
                and self._last_seconds([*members, trial]) < self._watch.left
                and is_better_with(members, trial)
            ]
            if not adding:
                break
            members.append(max(adding, key=lambda trial: float(gain(members, trial).mean())))
        return on_common_folds(members)

    @property
    def _answered(self) -> list[Trial]:
        return [trial for trial in self.tried if trial.answers]

    def _try(self, asked: Sequence[tuple[str, int]]) -> None:
        """Tries recipes, by name and seed."""
        for name, seed in asked:
            self._study.enqueue_trial({"recipe": name, "seed": seed})
        self._study.optimize(self._value, n_trials=len(asked))

    def _value(self, asked: optuna.Trial) -> float:
        """The main score of a recipe over its folds; of one or none of them, it is pruned."""
        trial = self._recipes[asked.suggest_categorical("recipe", [*self._recipes])]
        seed = asked.suggest_int("seed", 0, _HIGHEST_SEED)
        trial = trial if seed == trial.config.seed else trial.of_seed(seed)
        self.tried.append(trial)
        while len(trial.answers) < self._folds and not trial.status:
            self._next_fold(trial)
            if not trial.status and self._is_behind(asked, trial):
                trial.status = f"behind after {len(trial.answers)} folds"
                raise optuna.TrialPruned
        if len(trial.answers) < _FEWEST_FOLDS:
            raise optuna.TrialPruned
        return score_of([trial])

    def _is_behind(self, asked: optuna.Trial, trial: Trial) -> bool:
        """Whether it is behind the best with confidence, and adds nothing to what it is fused with.

        Groups are the steps of the trial, so that videos of one group count as one.
        """
        for group, share in right_by_group(trial.answers[-1]).items():
            asked.report(share, self._groups.setdefault(group, len(self._groups)))
        if len(trial.answers) < _FEWEST_FOLDS or not _should_prune(asked):
            return False
        return bool(gain(self._others(trial), trial).mean() <= 0)

    def _next_fold(self, trial: Trial) -> None:
        """Trains without the next fold, and has the answers for it; or says why not."""
        fold = len(trial.answers) + 1
        if not is_held_out(trial.folder, fold):
            if not self._has_time(trial):
                trial.status = "no time"
                return
            if fold == 1:
                seconds = self._fold_seconds(trial)
                about = f", about {clock(seconds)} each" if seconds else ""
                print(f"{trial.recipe.name}: begins with fold 1{about}", flush=True)
        config, most = whatever_it_answers(trial.config), self._most_seconds(trial)
        try:
            with logged_to(trial.folder / "training.log"):
                seconds = hold_out(config, trial.folder, fold, self._folds, most).seconds
        except DivergenceError:
            trial.status = "diverged"
        except OutOfTimeError:
            trial.status = "no time"
        else:
            self._note(trial, fold, seconds)

    def _note(self, trial: Trial, fold: int, seconds: float) -> None:
        trial.answers.append(held_out(trial.folder, fold))
        trial.seconds.append(seconds)
        self._watch.note()
        score = trial.answers[-1].scores().main.text
        name = f"{trial.recipe.name}, fold {fold}/{self._folds}"
        print(f"{name}: {score}, {seconds:.0f} s", flush=True)

    def _has_time(self, trial: Trial) -> bool:
        """Whether there is time for a fold more, and for the last training after it.

        More than two it gets where what sees something else can be compared after it.
        """
        waiting = self._waiting if len(trial.answers) >= _FEWEST_FOLDS else []
        seconds = self._fold_seconds(trial)
        return self._fits(trial) and all(
            self._fits(each, besides=seconds) for each in waiting if self._fits(each)
        )

    def _fits(self, trial: Trial, besides: float = 0.0) -> bool:
        """Whether there is time for the next fold of a recipe, or for as many as compare it."""
        members, is_new = [*self._others(trial), trial], not trial.answers
        folds = _FEWEST_FOLDS if members[1:] and is_new else 1
        needed = folds * self._fold_seconds(trial) + besides
        return self._watch.left - self._last_seconds(members) > needed

    @property
    def _waiting(self) -> list[Trial]:
        """Those that were not tried yet and are no variants."""
        different = [each for each in self._recipes.values() if not each.recipe.is_variant]
        return [each for each in different if each not in self.tried]

    def _most_seconds(self, trial: Trial) -> float:
        """What a fold may take, so that there is time for the last training after it."""
        if self._answered:
            return self._watch.left - self._last_seconds([*self._others(trial), trial])
        return longest_fold(self._watch)

    def _others(self, trial: Trial) -> list[Trial]:
        """Who would be fused, but one."""
        members = self.members() if self._answered else []
        return [member for member in members if member.folder != trial.folder]

    def _fold_seconds(self, trial: Trial) -> float:
        """What a fold of a recipe takes, about; 0 while nothing is known of any."""
        if trial.seconds:
            return trial.seconds[-1]
        rates = [each.seconds[-1] / each.recipe.cost for each in self._answered]
        return max(rates, default=0.0) * trial.recipe.cost

    def _last_seconds(self, members: Sequence[Trial]) -> float:
        return sum(last_seconds(self._fold_seconds(trial)) for trial in members)


def _pruner() -> optuna.pruners.BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(p_threshold=_BY_CHANCE)


def _should_prune(asked: optuna.Trial) -> bool:
    with warnings.catch_warnings():  # that the best was not through all of these folds
        warnings.simplefilter("ignore", UserWarning)
        return asked.should_prune()
