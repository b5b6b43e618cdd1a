"""A recipe chosen for a data set: several are tried, what is behind is dropped, the best are fused.

All is chosen by cross-validation over groups of the training videos; test videos are not looked at.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.atomic import write_json
from pipeline.config import RunConfig
from pipeline.dataset.videos import open_data, resolve
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.fusing import Several, evaluated
from pipeline.evaluation.predictions import Predictions, joined
from pipeline.evaluation.results import ChosenResult, Score, TriedResult, as_json
from pipeline.experiments.ablation import write_rows
from pipeline.experiments.budget import Clock, in_time
from pipeline.experiments.choice import Trials
from pipeline.experiments.inner import logged_to
from pipeline.experiments.recipes import FEW, NEAREST, RECORDINGS, VIDEOS, usable
from pipeline.experiments.runs import Experiment, begin
from pipeline.experiments.trial import Trial, best_rule, several_of
from pipeline.locks import alone
from pipeline.manifest.rows import Row
from pipeline.manifest.split import count_folds
from pipeline.prepare.prepared import held_open
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.fusion import Fusion
from pipeline.text import clock, counted, listed
from pipeline.training.callbacks import TimeLimit
from pipeline.training.fit import train
from pipeline.training.run_folder import OpenedRun, is_trained, open_run

_EXPERIMENT: Final = Experiment("auto", "a choice of recipes", "fold-*")
_CLOCK: Final = "spent.json"
_FOLDS: Final = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen.

    Attributes:
        trials: All that was tried.
        members: Those whose answers are fused.
        fusion: How.
        several: What the members answered for videos that they were not trained on.
        missing: What could be tried besides, and what it takes.
    """

    trials: Sequence[Trial]
    members: Sequence[Trial]
    fusion: Fusion | None
    several: Several | None
    missing: Sequence[str]


def choose(config: RunConfig, folder: Path, watch: Clock) -> Choice:
    """Tries recipes on the training videos of a run; what was tried before is not tried again.

    Args:
        config: Its data, its split, its seed and its evaluation count.
        folder: Where what is tried goes.
        watch: The time that there is for all, the last training included.

    Raises:
        DataError: The data set cannot be used, or no recipe could be trained.
    """
    data = open_data(Path(config.data), split=config.split, cache=Path(config.data_cache))
    size = data.frames.size
    rows = [row for row in data.manifest.rows if row.split != "test"]
    if data.labelling == "frames":
        recipes, missing = usable(RECORDINGS, data)
    elif reason := _too_few(rows):
        recipes, missing = usable(NEAREST, data)
        print(
            f"{reason}. What is taken is: {recipes[0].name}. Expect it to be wrong often; "
            "each more video of a class helps",
            flush=True,
        )
        _, own = resolve(recipes[0].config(config, size))
        only = Trial(recipes[0], own, folder / "only", status="the only one")
        return _untried(only, missing)
    else:
        recipes, missing = usable(VIDEOS, data)
    folds = min(_FOLDS, len({row.group for row in rows}))
    trials = []
    for recipe in recipes:
        _, own = resolve(recipe.config(config, size))
        trials.append(Trial(recipe, own, folder / recipe.folder_name))
    print(
        f"{counted(len(trials), 'recipe')}, each in up to {folds} folds over groups of the "
        "training videos, then the last training and an export: about "
        f"{clock(max(0.0, watch.left))}. Testing comes after it",
        flush=True,
    )
    trials = in_time(trials, data, folds, folder, watch)
    if trials[0].status:
        return _untried(trials[0], missing)
    of_all = Trials(trials, folds, watch)
    of_all.run()
    members = of_all.members()
    several = several_of(members)
    fusion = several.fusion(best_rule(members))
    return Choice(
        trials=of_all.tried, members=members, fusion=fusion, several=several, missing=missing
    )


def _too_few(rows: Sequence[Row]) -> str:
    """Why nothing can be chosen by trying, of videos that are not for the test; empty: it can."""
    videos = Counter(label for row in rows for label in row.labels)
    groups = Counter(label for label, _ in {(e, row.group) for row in rows for e in row.labels})
    rarest = min(videos, key=videos.__getitem__)
    if videos[rarest] < FEW:
        return (
            f"{rarest!r} has {counted(videos[rarest], 'video')} besides those of the test, and "
            f"choosing takes {FEW} of each class"
        )
    alone = sorted(label for label, number in groups.items() if number < 2)
    if len(alone) == len(groups):
        return "each class has a single group besides those of the test: there is none to choose by"
    if alone:
        print(
            f"all videos of {listed(map(repr, alone))} are of one group, besides those of the "
            "test, so no choice can be measured on them. Add videos of other groups",
            flush=True,
        )
    return ""


def _untried(trial: Trial, missing: Sequence[str]) -> Choice:
    return Choice(trials=[trial], members=[trial], fusion=None, several=None, missing=missing)


def finish(choice: Choice, folder: Path, watch: Clock) -> list[OpenedRun]:
    """Trains what was chosen on all videos that are not for the test, without validation videos.

    Returns:
        The runs, calibrated as far as that takes no validation videos, and not exported.
    """
    runs: list[OpenedRun] = []
    for trial in choice.members:
        split = dataclasses.replace(trial.config.split, val_folds=0, val_fold=1, train_on_val=True)
        run = Run(folder / trial.folder.name)
        print(f"{trial.recipe.name}: the last training, on all videos", flush=True)
        with logged_to(folder / "training.log"):
            config = dataclasses.replace(trial.config, split=split)
            if is_trained(run):
                opened = open_run(run)
            else:
                seconds = watch.for_each(len(choice.members) - len(runs))
                limit = TimeLimit(time.monotonic() + seconds, keeps=True)
                opened = train(config, run.folder, limit=limit)
            calibrate(opened)
        runs.append(opened)
    return runs


def table(choice: Choice, file: Path) -> list[TriedResult]:
    """What was tried, a row each, which a CSV file then holds as well."""
    rows = []
    chosen = {trial.folder for trial in choice.members}
    for trial in choice.trials:
        main = joined(trial.answers).scores().main if trial.answers else Score("", None)
        status = "chosen" if trial.folder in chosen else trial.status
        seconds = round(sum(trial.seconds), 1)
        rows.append(
            TriedResult(
                trial.recipe.name, main.value, main.interval95, len(trial.answers), seconds, status
            )
        )
    write_rows(rows, file)
    return rows


def begin_auto(
    config: RunConfig, folder: Path, budget: float, *, overwrite: bool, began: float | None = None
) -> Clock:
    """Makes the folder, or makes sure that it holds the beginning of the same; starts the time.

    Args:
        config: Of all that is tried.
        folder: Where it goes.
        budget: Seconds for all of it.
        overwrite: Whether one of other settings that is there is replaced.
        began: From when on time counts, see `Clock`.

    Raises:
        ConfigError: The folder holds something else.
    """
    data = open_data(Path(config.data), split=config.split, cache=Path(config.data_cache))
    facts = {"data": data.fingerprint, "seed": config.seed}
    if overwrite and (folder / f"{_EXPERIMENT.name}-of.json").is_file():
        for part in ("tried", "runs"):
            shutil.rmtree(folder / part, ignore_errors=True)
        (folder / _CLOCK).unlink(missing_ok=True)
    begin(_EXPERIMENT, config, folder, facts, overwrite=overwrite)
    return Clock(folder / _CLOCK, budget, began)


@held_open()
def cross_validate_auto(
    config: RunConfig, folder: Path, budget: float, *, overwrite: bool = False
) -> ChosenResult:
    """Chooses for each fold by its training videos alone, and tests what was chosen.

    What was finished before is not done again.

    Args:
        config: Its `split.folds` says how many folds are tested.
        folder: Where they go.
        budget: Seconds for all of them.
        overwrite: Whether one of other settings that is there is replaced.

    Raises:
        ConfigError: The folder holds something else.
        DataError: The data set cannot be used.
    """
    with alone(folder, "cross-validating in", "name another folder (--out)"):
        whole = begin_auto(config, folder, budget, overwrite=overwrite)
        data = open_data(Path(config.data), split=config.split, cache=Path(config.data_cache))
        number = count_folds(data.manifest, config.split.folds)
        answers, chosen = list[Predictions](), []
        for fold in range(1, number + 1):
            split = dataclasses.replace(config.split, fold=fold)
            own = folder / f"fold-{fold:02d}"
            own.mkdir(exist_ok=True)
            watch = Clock(own / _CLOCK, budget / number)
            print(f"fold {fold}/{number}", flush=True)
            choice = choose(dataclasses.replace(config, split=split), own / "tried", watch)
            runs = finish(choice, own / "runs", watch)
            several = evaluated([opened.run.folder for opened in runs], "test")
            answers.append(_fused(several, choice))
            chosen.append([trial.recipe.name for trial in choice.members])
            watch.note()
            table(choice, own / "tried.csv")
        whole.note()
        scores = joined(answers).scores()
        result = ChosenResult(
            main_score=scores.main.name,
            scores=scores,
            chosen=chosen,
            seconds=round(whole.spent, 1),
        )
        write_json(folder / "crossval.json", as_json(result))
        return result


def _fused(several: Several, choice: Choice) -> Predictions:
    """What the members of a choice say of test videos."""
    if not choice.fusion or not choice.several:
        return several.each[0]
    config, fusion = choice.members[0].config, choice.fusion
    calibration = choice.several.calibration(fusion, Calibration(), config)
    as_chosen = several.fusion(fusion.rule, choice.several.temperatures)
    return several.fused(as_chosen, calibration)
