"""With how many epochs recipes fit into a time."""

import json

import pytest

from pipeline.errors import ConfigError
from pipeline.experiments.pace import in_time
from pipeline.experiments.race import Clock
from pipeline.experiments.recipes import Recipe
from pipeline.experiments.trial import Trial
from pipeline.run import Run
from tests.runs import changed


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


def test_few_frames_are_seen_in_all_epochs(in_seconds, tiny_store, tmp_path):
    assert in_seconds(tiny_store.count_frames() / 5) == ALL
    assert in_seconds(1) == ALL, "it goes on as it began"
    assert not (tmp_path / "pace").exists()


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


@pytest.mark.parametrize(("folds", "least"), [(0, "2m or more for"), (5, "2m or more for each")])
def test_the_shortest_budget_is_that_of_a_fold_and_the_last_training(
    folds, least, trials, in_seconds, tmp_path
):
    """Of the first recipe in 8 epochs, 20 seconds at a third of the cost, and 12 to export."""
    (tmp_path / "pace.json").write_text('{"start": 20, "epoch": 5}')
    trials[1].config = changed(trials[1].config, {"split.folds": folds})
    with pytest.raises(ConfigError, match=f"{least}.*two trainings of about 0:20.* From 35m on"):
        in_seconds(58)
    in_seconds(64)


def test_epochs_are_those_of_which_six_trainings_fit_in(trials, in_seconds, tmp_path):
    """What takes less keeps more of its epochs."""
    pace = tmp_path / "pace.json"
    pace.write_text('{"start": 1, "epoch": 0.4}')
    assert in_seconds(100)["plain"] == pytest.approx((0.94 * 100 / 6 - 1) / 0.4, abs=1)
    pace.write_text('{"share": 0.25}')
    assert in_seconds(1) == {"cheap": 45, "plain": 15, "longer": 30}
    assert {trial.recipe.name: trial.config.train.epochs for trial in trials} == ALL
