"""Recipes against each other: which go on, which are chosen, and the epochs that fit in."""

import dataclasses
import itertools
import json
import time

import pytest

from pipeline.config import FramesConfig, ModelConfig, RunConfig
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.predictions import joined
from pipeline.evaluation.results import Measured
from pipeline.experiments import choice
from pipeline.experiments.budget import Clock, in_time
from pipeline.experiments.choice import Trials
from pipeline.experiments.recipes import NEEDS, VIDEOS, Recipe, usable
from pipeline.experiments.trial import Trial, best_rule, several_of
from pipeline.run import Run
from pipeline.training.callbacks import OutOfTimeError
from pipeline.training.fit import DivergenceError
from tests.evaluation.made_up_crossval import made_up
from tests.runs import changed

CONFIG = RunConfig(model=ModelConfig(task="video"))
NAMES = ["a", "b"]
GROUPS, VIDEOS_A_GROUP, FOLDS = 20, 4, 4


def answers(fold, shares):
    """Those of a fold of five groups, of which so large a share of videos is right."""
    numbers = range(GROUPS * VIDEOS_A_GROUP // FOLDS)
    labels = [number % 2 for number in numbers]
    sure = [2.0 if shares(number, fold) else -1.0 for number in numbers]
    logits = [[x, 0] if label == 0 else [0, x] for x, label in zip(sure, labels, strict=True)]
    groups = [str(fold * GROUPS // FOLDS + number // VIDEOS_A_GROUP) for number in numbers]
    return made_up(logits, labels, [f"{fold} {number:03d}" for number in numbers], groups)


class Watch:
    """Time that passes only where something is tried."""

    def __init__(self, left=1e9):
        self.left, self.budget, self.noted = left, left, 0

    def note(self):
        self.noted += 1


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Tries recipes, by name how right they are and what a fold of them takes."""

    def recipe(name, cost):
        return Recipe(name, "small", cost=cost, is_variant=name == "variant")

    def start(kinds, left=1e9, seeds=0):
        watch = Watch(left)
        monkeypatch.setattr(choice, "_MORE_SEEDS", seeds)
        done = []

        def kind(folder):
            return kinds[folder.name.split("-")[0]]

        def hold_out(config, folder, fold, folds, seconds_left):
            assert (config.train.checkpoint, config.train.patience, folds) == ("last", 0, FOLDS)
            shares, seconds = kind(folder)
            if shares is None:
                raise DivergenceError("no number")
            done.append((folder.name, fold))
            if seconds > seconds_left:
                watch.left -= seconds_left
                raise OutOfTimeError("late")
            watch.left -= seconds
            return Measured({}, seconds)

        monkeypatch.setattr(choice, "hold_out", hold_out)
        monkeypatch.setattr(choice, "held_out", lambda folder, fold: answers(fold, kind(folder)[0]))
        trials = [
            Trial(recipe(name, each[1]), CONFIG, tmp_path / name) for name, each in kinds.items()
        ]
        found = Trials(trials, FOLDS, watch)
        found.run()
        return found, {trial.recipe.name: trial for trial in trials}, done

    return start


def always(share):
    return lambda number, _: number % 10 < 10 * share


def times(name, number):
    return [(name, fold + 1) for fold in range(number)]


def members_of(trials):
    return [trial.recipe.name for trial in trials.members()]


def test_what_is_clearly_behind_or_diverges_is_not_tried_again(start, capsys):
    found, trials, done = start({"good": (always(1.0), 1), "bad": (always(0.2), 1)})
    assert done == times("good", FOLDS) + times("bad", 2)
    assert trials["bad"].status == "behind after 2 folds"
    told = [line for line in capsys.readouterr().out.splitlines() if "begins" in line]
    assert told == [
        "good: begins with fold 1",
        "bad: begins with fold 1, about 0:01.0 each",
    ]
    assert members_of(found) == ["good"]
    found, trials, _ = start({"wild": (None, 1), "good": (always(0.9), 1)})
    assert trials["wild"].status == "diverged"
    assert members_of(found) == ["good"]
    # Those that are alike all go on, and a better one that comes later is taken.
    _, trials, done = start({"one": (always(0.8), 1), "other": (lambda n, _: n % 10 > 2, 1)})
    assert len(done) == 2 * FOLDS
    assert {trial.status for trial in trials.values()} == {""}
    found, _, _ = start({"poor": (always(0.4), 1), "good": (always(1.0), 1)})
    assert members_of(found) == ["good"]
    # So does one that is right where the best one is not sure of being wrong.
    found, trials, done = start(
        {"good": (lambda n, _: n % 5 != 0, 1), "behind": (lambda n, _: n % 5 in (0, 1), 1)}
    )
    assert joined(trials["behind"].answers).correct.mean() < 0.5
    assert sorted(done) == times("behind", FOLDS) + times("good", FOLDS)
    assert set(members_of(found)) == {"good", "behind"}


def test_what_makes_other_mistakes_is_fused(start):
    even, odd = (lambda n, _, k=k: n % 2 == k or n % 3 for k in (0, 1))
    found, trials, _ = start({"even": (even, 1), "odd": (odd, 1), "same": (even, 1)})
    names = set(members_of(found))
    assert "odd" in names
    assert len(names) == 2, "the third one says what one of the others does"
    fused = several_of(found.members())
    together = fused.fused(fused.fusion("average")).correct.mean()
    assert together > max(joined(trial.answers).correct.mean() for trial in trials.values())
    # Time is out after the two folds that are harder than the others: they are compared on these.
    kinds = {
        "cheap": (lambda n, fold: fold > 2 or n % 10 < 4, 1),
        "better": (lambda n, fold: fold > 2 or n % 10 < 6, 100),
    }
    found, trials, done = start(kinds, left=430)
    assert sorted(done) == times("better", 2) + times("cheap", FOLDS)
    assert trials["better"].status == "no time"
    members = found.members()
    assert members[0].recipe.name == "better"
    assert {len(trial.answers) for trial in members} == {2}


def test_the_rule_is_the_one_that_makes_labels_likely(start):
    """By how much the logit of the right class is the higher one."""
    _, trials, _ = start({"one": (always(1.0), 1), "other": (always(1.0), 1)})
    for first, second, rule in (
        ([2, 9, 2, 2], [1, -9, -6, 3], "average"),  # one is sure where it is wrong
        ([6, 6, 6, -6], [2, 2, 2, 2], "product"),  # both are mostly right
    ):
        for name, margins in (("one", first), ("other", second)):
            logits = [[margin, 0] for margin in margins]
            trials[name].answers = [made_up(logits, [0] * 4, "abcd", "abcd")]
        assert best_rule(list(trials.values())) == rule


def test_time_is_left_for_the_last_training(start):
    """Of the best, which takes somewhat more than a fold of it, beside what is tried."""
    for costs, left, folds in (
        ({"cheap": 10, "dear": 100}, 380, {"cheap": FOLDS, "dear": 0}),
        ({"cheap": 10, "dear": 100}, 460, {"cheap": FOLDS, "dear": 2}),
        # It takes 137 seconds, and counts once.
        ({"only": 100}, 540, {"only": FOLDS}),
        ({"only": 100}, 530, {"only": FOLDS - 1}),
        # If there is time for a single fold it is taken.
        ({"cheap": 10, "other": 10}, 40, {"cheap": 1, "other": 0}),
        ({"cheap": 10}, -1, {"cheap": 0}),
    ):
        kinds = {name: (always(0.9), cost) for name, cost in costs.items()}
        found, trials, done = start(kinds, left=left)
        assert sorted(done) == [each for name in sorted(folds) for each in times(name, folds[name])]
        assert all(trials[name].status == "no time" for name in folds if not folds[name])
        if done:
            assert members_of(found) == [done[0][0]]
    with pytest.raises(DataError, match="Give it a larger --budget"):
        found.members()
    # What takes longer than it may is given up, and another one is tried.
    found, trials, done = start({"endless": (always(1.0), 1e9), "good": (always(0.9), 1)}, left=99)
    assert trials["endless"].status == "no time"
    assert members_of(found) == ["good"]


def test_time_that_is_left_goes_into_the_best_of_other_seeds(start, monkeypatch, tmp_path):
    kinds = {"good": (always(1.0), 1), "poor": (always(0.3), 1)}
    _, _, done = start(kinds, seeds=2)
    both = times("good-seed-1", FOLDS) + times("good-seed-2", FOLDS)
    assert done[-8:] == both
    assert sorted(done[:-8]) == times("good", FOLDS) + times("poor", 2)
    _, _, done = start(kinds, left=37, seeds=2)
    assert done[-1] == ("good-seed-1", 4)
    monkeypatch.setattr(RunConfig, "is_linear", True)  # It is fitted at once.
    _, _, done = start({"good": (always(1.0), 1)}, seeds=2)
    assert done == times("good", FOLDS)
    trial = Trial(Recipe("key points, new", "pose", cost=3), CONFIG, tmp_path / "key-points-new")
    other = trial.of_seed(2)
    assert (other.recipe.name, other.recipe.cost) == ("key points, new, seed 2", 3)
    assert other.config == dataclasses.replace(CONFIG, seed=2)
    assert other.folder == tmp_path / "key-points-new-seed-2"


def test_what_sees_something_else_is_compared_before_any_is_tried_in_more_than_two_folds(start):
    """Where there is no time for all folds of all; variants come after that."""
    kinds = {"one": (always(0.8), 10), "other": (lambda n, _: n % 10 > 2, 10)}
    variant = {"variant": (always(0.8), 10)}
    _, trials, done = start(kinds | variant, left=100)
    assert done == times("one", 3) + times("other", 2)
    assert {trial.status for trial in trials.values()} == {"no time"}
    _, _, done = start(kinds | variant)
    assert done == times("one", FOLDS) + times("other", FOLDS) + times("variant", FOLDS)


def test_time_that_was_spent_before_counts(tmp_path):
    file = tmp_path / "spent.json"
    watch = Clock(file, 100)
    assert 0 <= watch.spent < 5
    assert watch.left == pytest.approx(94, abs=5)
    file.write_text('{"seconds": 60}')
    later = Clock(file, 100)
    assert 60 <= later.spent < 65
    later.note()
    assert Clock(file, 100).spent >= 60
    assert Clock(file, 100, began=time.monotonic() - 30).spent >= 90


def test_recipes_are_runs_that_can_be_and_follow_what_a_data_set_has(tiny_store):
    def data(**frames):
        return dataclasses.replace(tiny_store, frames=FramesConfig(size=64, **frames))

    plain, missing = usable(VIDEOS, data())
    assert {recipe.preset for recipe in plain} == {"small"}
    assert any("--flow" in each for each in missing)
    assert any("fetch pose" in each for each in missing)
    some, missing = usable(VIDEOS, data(flow=True, pose=2))
    assert {recipe.preset for recipe in some} == {"small", "flow", "pose"}
    assert not any("--flow" in each for each in missing)
    for recipe in VIDEOS:
        config = recipe.config(RunConfig(data="d", seed=7), 224)
        assert config.clip.shrink == (1 if "large" in recipe.needs else 4)
        assert recipe.config(RunConfig(data="d"), 64).clip.shrink == 1
        assert (config.data, config.seed) == ("d", 7)
        assert set(recipe.needs) <= set(NEEDS)
    names = [recipe.name for recipe in VIDEOS]
    assert len(set(names)) == len(names)
    assert all(a is not b for a, b in itertools.pairwise(VIDEOS))


@pytest.fixture
def trials(tiny_config, tmp_path):
    def trial(name, cost, epochs, needs=()):
        config = changed(tiny_config, {"train.epochs": epochs})
        return Trial(Recipe(name, "small", needs=needs, cost=cost), config, tmp_path / name)

    return [trial("cheap", 2, 60, ("pose",)), trial("plain", 6, 60), trial("longer", 12, 120)]


@pytest.fixture
def in_seconds(trials, tiny_store, tmp_path):
    """The epochs of the recipes that so many seconds are enough for, in two folds."""

    def epochs(seconds):
        found = in_time(trials, tiny_store, 2, tmp_path, Clock(tmp_path / "spent.json", seconds))
        return {trial.recipe.name: trial.config.train.epochs for trial in found}

    return epochs


ALL = {"cheap": 60, "plain": 60, "longer": 120}


def test_few_frames_are_seen_in_all_epochs(in_seconds, tiny_store, tmp_path, trials):
    assert in_seconds(tiny_store.count_frames() / 5) == ALL
    assert in_seconds(1) == ALL, "it goes on as it began"
    assert not (tmp_path / "pace").exists()
    # Else in as many that six trainings fit in; what takes less keeps more of them.
    pace = tmp_path / "pace.json"
    pace.write_text('{"start": 1, "epoch": 0.4}')
    assert in_seconds(100)["plain"] == pytest.approx((0.94 * 100 / 6 - 1) / 0.4, abs=1)
    pace.write_text('{"share": 0.25}')
    assert in_seconds(1) == {"cheap": 45, "plain": 15, "longer": 30}
    assert {trial.recipe.name: trial.config.train.epochs for trial in trials} == ALL


def test_of_many_frames_a_training_is_timed_once(in_seconds, tmp_path, capsys):
    """A budget that is too short is refused by what was measured, which is kept."""
    with pytest.raises(ConfigError, match=r"--budget: expected \d+m or more for .*, got 0:01\.0"):
        in_seconds(1)
    file = tmp_path / "pace.json"
    found = json.loads(file.read_text())
    seconds = [row["seconds"] for row in Run(tmp_path / "pace").history()]
    assert found["epoch"] == min(seconds)
    assert found["start"] > max(seconds) - min(seconds), "the first epoch traces"
    capsys.readouterr()
    file.write_text('{"start": 10, "epoch": 2}')
    assert in_seconds(60) == dict.fromkeys(ALL, 8)
    assert capsys.readouterr().out == "8 of 60 epochs fit into the time\n"
    assert in_seconds(600)["plain"] == 8


@pytest.mark.parametrize(("folds", "least"), [(0, "1m or more for"), (5, "1m or more for each")])
def test_the_shortest_budget_is_that_of_a_fold_and_the_last_training(
    folds, least, trials, in_seconds, tmp_path
):
    """Of the first recipe in 8 epochs, 20 seconds at a third of the cost, and 12 to export.

    Of 58 seconds, 1.1 times as many and 12 less are 155 of what is timed, of which 20 go into the
    start, and 5 into each of 27 epochs.
    """
    (tmp_path / "pace.json").write_text('{"start": 20, "epoch": 5}')
    trials[1].config = changed(trials[1].config, {"split.folds": folds})
    with pytest.raises(ConfigError, match=f"{least}.*a training of about 0:20.* From 35m on"):
        in_seconds(35)
    assert in_seconds(58) == {"cheap": 27}, "there is time for the last training of the first"
    assert len(in_seconds(64)) == 3
