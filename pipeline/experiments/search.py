"""The search of settings, by cross-validation within the training videos of a fold.

It is nested, so that the accuracy that is reported is not the one that was searched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import shutil
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from pipeline.config import RunConfig, expect
from pipeline.config.file import known_keys, with_values
from pipeline.errors import ConfigError, PipelineError, check_known
from pipeline.evaluation.results import Score, main_name
from pipeline.experiments.inner import hold_out, whatever_it_answers
from pipeline.figures import plain_axes
from pipeline.locks import if_free, in_turn, is_taken
from pipeline.training.fit import DivergenceError

_STUDY = "study.log"
_DIVERGED = -1.0
_LOOK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """Chooses the settings of a run by its training videos alone.

    Attributes:
        ranges: By dotted key of the configuration: a list of choices; or the lower and upper end,
            `{low = 1e-4, high = 1e-2, log = true}`, of a number; whole if both ends are.
        trials: Settings that are tried.
        inner_folds: Folds that the training videos are cut into; the score of a trial is the mean
            main score on each of them, of a model trained on the others.
        seed: Of the draw of settings; 0 or above.

    The models of a trial are trained in the way in which the chosen settings will be used. Where
    the final run has validation videos (`split.val_folds`), its inner folds stop early and keep
    their best epoch by theirs, as it will. Where it has none, it will run all epochs and keep the
    last: so do they, and `train.epochs` can be one of the settings.

    Source: nested cross-validation, Varma and Simon (2006); the sampler is Optuna's TPE, Bergstra
    et al. (2011).
    """

    ranges: Mapping[str, Any]
    trials: int = 20
    inner_folds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        expect(self.trials >= 1, "--trials must be at least 1", self.trials)
        expect(self.inner_folds >= 2, "--inner-folds must be at least 2", self.inner_folds)

    def describe(self) -> dict[str, Any]:
        """The ranges and the way of the search, as JSON types."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def check(self, config: RunConfig) -> None:
        """Makes sure that each value that can be drawn is allowed, before any is tried.

        Raises:
            ConfigError: One is not, or the run has no validation videos where it takes them.
        """
        for key, choices in self.ranges.items():
            values = choices if isinstance(choices, list) else (choices["low"], choices["high"])
            for value in values:
                with_values(config, {key: value}, "--search").check_task()

    def seconds(self, folder: Path) -> float:
        """Seconds of the trials that have ended in a folder."""
        if not (folder / _STUDY).exists():
            return 0.0
        durations = (trial.duration for trial in _open_study(folder).trials)
        return sum(duration.total_seconds() for duration in durations if duration)

    def __call__(self, config: RunConfig, folder: Path) -> RunConfig:
        """Searches; goes on with what was tried before in the same folder.

        Several processes may search in it at once, and share the trials.

        Args:
            config: The run whose settings are chosen, of which the task is known. Its test videos
                are not looked at.
            folder: Where the study is stored (`study.log`, for Optuna) and plotted.

        Returns:
            The configuration with the settings of the best trial.

        Raises:
            ConfigError: A setting does not fit the others.
            PipelineError: With no settings was there a training that did not diverge.
        """
        self.check(config)
        folder.mkdir(parents=True, exist_ok=True)
        study, sampler = _open_study(folder), None
        while not self._is_done(study):
            with contextlib.ExitStack() as stack:
                with in_turn(folder / _STUDY, "drawing settings in"):
                    sampler = sampler or self._sampler(study)
                    study.sampler = sampler
                    trial = self._next(study, folder, stack)
                if trial is None:
                    time.sleep(_LOOK_SECONDS)  # Others are at the last ones.
                    continue
                self._try(study, trial, config, folder / f"trial-{trial.number}")
        if study.best_value < 0:
            raise PipelineError(f"{folder}: no settings of --search trained without diverging")
        main = Score(main_name(config.model.task), study.best_value)
        _plot(study, main.title, folder / "trials.png")
        chosen = self._values(study.best_params)
        best = ", ".join(f"{key} {value}" for key, value in chosen.items())
        print(f"best of {self.trials} trials, inner {main.text}: {best}")
        return with_values(config, chosen, "--search")

    def _is_done(self, study: optuna.Study) -> bool:
        return len(_of_states(study, "COMPLETE", "PRUNED")) >= self.trials

    def _sampler(self, study: optuna.Study) -> optuna.samplers.BaseSampler:
        """Of a seed of its own, lest two processes, or one that goes on, draw the same again."""
        seed = self.seed + len(study.get_trials(deepcopy=False))
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def _next(
        self, study: optuna.Study, folder: Path, stack: contextlib.ExitStack
    ) -> optuna.Trial | None:
        """Draws the settings of the next trial, which is locked; None: there are enough."""
        numbers = [each.number for each in _of_states(study, "RUNNING")]
        free = [each for each in numbers if not is_taken(folder / f"trial-{each}")]
        running = [each.number for each in _of_states(study, "RUNNING")]
        lost = set(free) & set(running)  # Its process has ended, and had not told how it went.
        for number in lost:
            study.tell(number, state=optuna.trial.TrialState.FAIL)
        at_work = len(running) - len(lost)
        if len(_of_states(study, "COMPLETE", "PRUNED")) + at_work >= self.trials:
            return None
        trial = study.ask()
        stack.enter_context(if_free(folder / f"trial-{trial.number}"))
        return trial

    def _try(
        self, study: optuna.Study, trial: optuna.Trial, config: RunConfig, folder: Path
    ) -> None:
        states = optuna.trial.TrialState
        try:
            study.tell(trial, self._score(trial, config, folder))
        except optuna.TrialPruned:
            study.tell(trial, state=states.PRUNED)
        except BaseException:
            study.tell(trial, state=states.FAIL)
            raise
        shutil.rmtree(folder, ignore_errors=True)

    def _score(self, trial: optuna.Trial, config: RunConfig, folder: Path) -> float:
        """Mean score over the inner folds; given up as soon as it is clearly below others.

        Settings with which a training diverges score -1.
        """
        drawn = {key: suggest(trial, key, choices) for key, choices in self.ranges.items()}
        config = with_values(config, self._values(drawn), "--search")
        own = config if config.split.val_folds else whatever_it_answers(config)
        scores = list[float]()
        shutil.rmtree(folder, ignore_errors=True)
        for fold in range(1, self.inner_folds + 1):
            try:
                found = hold_out(own, folder, fold, self.inner_folds)
            except DivergenceError:
                return _DIVERGED
            scores.append(found.main.value or 0.0)
            mean = sum(scores) / len(scores)
            trial.report(mean, fold)
            if trial.should_prune() and fold < self.inner_folds:
                raise optuna.TrialPruned
        return mean

    def _values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """The drawn values; of a list of choices, its number was drawn."""
        return {
            key: self.ranges[key][value] if isinstance(self.ranges[key], list) else value
            for key, value in drawn.items()
        }


def _open_study(folder: Path) -> optuna.Study:
    """The study of a folder, which several processes may have open."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # only of what is wrong
    journal = optuna.storages.journal.JournalFileBackend(str(folder / _STUDY))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(journal),
        study_name=folder.name,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        load_if_exists=True,
    )


def _of_states(study: optuna.Study, *names: str) -> list[optuna.trial.FrozenTrial]:
    states = optuna.trial.TrialState
    return list(study.get_trials(deepcopy=False, states=[states[name] for name in names]))


def _plot(study: optuna.Study, title: str, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    finished = {trial.number + 1: trial.value for trial in study.trials if trial.value is not None}
    pruned = [trial for trial in study.trials if trial.value is None and trial.intermediate_values]
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    numbers, values = [*finished], [*finished.values()]
    axes.plot(numbers, values, "o", label="all inner folds")
    best = [max(values[: count + 1]) for count in range(len(values))]
    axes.step(numbers, best, where="post", color="0.6", label="best so far")
    if pruned:
        last = [[*trial.intermediate_values.values()][-1] for trial in pruned]
        axes.plot([trial.number + 1 for trial in pruned], last, "x", color="0.5", label="given up")
    plain_axes(axes, "trial", f"{title} on the inner folds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def read_ranges(path: Path) -> dict[str, Any]:
    """Reads what may be chosen from, by dotted key, from a TOML file.

    Raises:
        ConfigError: It cannot be read, or names a setting that there is not, or no range.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"--search: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    known = known_keys()
    ranges = _ranges(tree, "")
    check_known(ranges, known, str(path))
    for key in ranges:
        # Whatever else is searched, these would change what the score is measured on.
        fixed = key.split(".")[0] in ("data", "frames", "split") or key == "model.task"
        expect(not fixed, f"{path}: {key} cannot be searched", ranges[key])
    expect(bool(ranges), f"{path} must give a range of at least one setting", tree)
    for key, choices in ranges.items():
        expect(
            _is_range(choices),
            f"{path}: {key} must be a list of choices, or {{low = ..., high = ..., log = true}} "
            "with low below high, and above 0 for log; none of them NaN or infinite",
            choices,
        )
    return ranges


def _ranges(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """By dotted key; the table of a range is no part of the configuration."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and not {"low", "high"} & {*value}:
            flat |= _ranges(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_range(choices: Any) -> bool:
    if isinstance(choices, list):
        return bool(choices) and not any(value != value for value in choices)  # NaN
    if not isinstance(choices, dict) or not {"low", "high"} <= {*choices} <= {"low", "high", "log"}:
        return False
    low, high = choices["low"], choices["high"]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (low, high))
    return numbers and -math.inf < low < high < math.inf and (low > 0 or not choices.get("log"))


def suggest(trial: optuna.Trial, key: str, choices: Any) -> Any:
    """The value that a trial draws for a key; of a list of choices, its number."""
    if isinstance(choices, list):  # A choice may be a list itself, which the storage cannot hold.
        return trial.suggest_categorical(key, range(len(choices)))
    low, high, log = choices["low"], choices["high"], bool(choices.get("log"))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=log)
    return trial.suggest_float(key, low, high, log=log)
