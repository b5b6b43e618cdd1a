import dataclasses
import os

import optuna
import pytest

from pipeline.errors import ConfigError, PipelineError
from pipeline.evaluation.results import Measured
from pipeline.experiments import inner, search
from pipeline.experiments.search import Search, read_ranges
from pipeline.training.fit import DivergenceError
from pipeline.workers.shares import run_in_shares
from tests.processes import wait_until
from tests.runs import changed


def study_in(folder):
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "study.log"))
    storage = optuna.storages.JournalStorage(journal)
    return optuna.load_study(study_name=folder.name, storage=storage)


@pytest.fixture
def config(tiny_config):
    values = {"model.task": "video", "split.folds": 4, "split.fold": 2, "train.epochs": 1}
    return changed(tiny_config, values)


def make_believe(config, run, split, **_):
    """What a run gave that is only made believe; narrow networks do worse."""
    assert split == "val"
    if config.train.learning_rate > 1:
        raise DivergenceError
    return Measured({"top1": 0.5 if config.backbone.filters == (2,) else 0.6}, 1.0)


@pytest.fixture
def trained(monkeypatch):
    """The configurations of trainings that are only made believe."""
    configs = []

    def measured(config, run, split, **options):
        configs.append(config)
        return make_believe(config, run, split, **options)

    monkeypatch.setattr(inner, "measured", measured)
    return configs


def test_the_better_settings_are_found_and_the_study_goes_on(config, tmp_path, trained):
    ranges = {"backbone.filters": [[2], [8, 16]], "temporal.units": [8]}
    folder = tmp_path / "fold-02-search"
    search = Search(ranges=ranges, trials=2, inner_folds=2)
    found = search(config, folder)
    assert found == changed(config, {"backbone.filters": (8, 16), "temporal.units": 8})
    assert (folder / "trials.png").is_file()
    assert not list(folder.glob("trial-*"))
    assert len(trained) == 4
    assert search(config, folder) == found
    assert len(trained) == 4
    study = study_in(folder)
    assert sorted(trial.params["backbone.filters"] for trial in study.trials) == [0, 1]
    spent = (study.trials[-1].datetime_complete - study.trials[0].datetime_start).total_seconds()
    assert 0 < search.seconds(folder) <= spent
    assert search.seconds(tmp_path / "none") == 0


@pytest.mark.parametrize(("val_folds", "how"), [(0, {(2, 0, "last")}), (3, {(2, 5, "best")})])
def test_inner_folds_are_trained_as_the_final_run_will_be(
    config, tmp_path, trained, val_folds, how
):
    """By all epochs and the last of them, or by validation where that is there to stop by."""
    config = changed(config, {"split.val_folds": val_folds, "train.patience": 5})
    folder = tmp_path / "search"
    found = Search(ranges={"temporal.units": [8]}, trials=1, inner_folds=2)(config, folder)
    assert (found.train.patience, found.train.checkpoint) == (5, "best")
    fits = {(each.split.val_folds, each.train.patience, each.train.checkpoint) for each in trained}
    assert fits == how
    assert [each.split.val_fold for each in trained] == [1, 2]
    assert study_in(folder).best_value == pytest.approx(0.6)


def test_a_search_that_was_stopped_goes_on_with_other_settings(config, tmp_path, trained, capsys):
    """The trial that was killed does not count, and the draw does not start over."""
    ranges = {"model.dropout": {"low": 0.0, "high": 0.9}, "temporal.units": [16]}
    folder = tmp_path / "fold-02-search"
    Search(ranges=ranges, trials=2, inner_folds=2)(config, folder)
    study_in(folder).ask()  # and never tells
    Search(ranges=ranges, trials=4, inner_folds=2)(config, folder)
    study = study_in(folder)
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == 4
    drawn = {trial.params["model.dropout"] for trial in complete}
    assert len(drawn) == 4
    assert {inner.model.dropout for inner in trained} == drawn
    output = capsys.readouterr().out
    assert "best of 4 trials" in output
    assert "temporal.units 16" in output, "what was chosen is named by its value"


def processes_in(file):
    return {line.split()[0] for line in file.read_text().splitlines()}


def search_in(asked, on_trial):
    """What each of two processes does; no training ends before both have begun one."""
    config, folder = asked

    def measured(config, run, split, **_):
        on_trial(run.folder.name)
        file = folder / "trained.txt"
        with file.open("a") as lines:
            lines.write(f"{os.getpid()} {config.model.dropout}\n")
        wait_until(lambda: len(processes_in(file)) == 2)
        return make_believe(config, run, split)

    inner.measured = measured
    ranges = {"model.dropout": {"low": 0.0, "high": 0.9}}
    Search(ranges=ranges, trials=8, inner_folds=2)(config, folder)


def test_two_processes_share_the_trials_and_draw_other_settings(config, tmp_path):
    folder = tmp_path / "search"
    run_in_shares(search_in, (config, folder), 2, on_loss=print)
    trained = [line.split() for line in (folder / "trained.txt").read_text().splitlines()]
    drawn = [trial.params["model.dropout"] for trial in study_in(folder).trials]
    assert len(drawn) == len(set(drawn)) == 8
    assert {float(dropout) for _, dropout in trained} == set(drawn)


def test_a_trial_that_ends_while_another_process_looks_has_not_been_lost(
    config, tmp_path, trained, monkeypatch
):
    """Its lock is free already, and what was read of it before says that it is running."""
    folder = tmp_path / "search"
    once = Search(ranges={"model.dropout": [0.1]}, trials=1, inner_folds=2)
    once(config, folder)
    other = study_in(folder).ask()

    def is_taken(_):
        study_in(folder).tell(other.number, 0.0)
        return False

    monkeypatch.setattr(search, "is_taken", is_taken)
    dataclasses.replace(once, trials=3)(config, folder)
    assert [trial.state.name for trial in study_in(folder).trials] == ["COMPLETE"] * 3


def test_a_training_that_diverges_loses_and_mistakes_are_told_before_any(config, tmp_path, trained):
    ranges = {"train.learning_rate": [1e30, 5e-3]}
    found = Search(ranges=ranges, trials=2, inner_folds=2)(config, tmp_path / "search")
    assert found.train.learning_rate == 5e-3
    with pytest.raises(PipelineError, match="no settings of --search trained without diverging"):
        Search(ranges={"train.learning_rate": [1e30]}, trials=1)(config, tmp_path / "other")
    with pytest.raises(ConfigError, match="train.batch_size"):
        Search(ranges={"train.batch_size": [8, "x"]})(config, tmp_path / "none")
    assert not (tmp_path / "none").exists(), "values are checked before any is tried"
    with pytest.raises(ConfigError, match="--trials must be at least 1"):
        Search(ranges={}, trials=0)
    with pytest.raises(ConfigError, match="--inner-folds must be at least 2"):
        Search(ranges={}, inner_folds=1)


@pytest.mark.parametrize("score", [0.3, None])
def test_settings_for_several_labels_are_chosen_by_mean_average_precision(
    config, tmp_path, monkeypatch, capsys, score
):
    """A score that there is none of, as no class is there, is the lowest."""
    found = Measured({"mean_average_precision": score}, 1.0)
    monkeypatch.setattr(inner, "measured", lambda *_, **__: found)
    several = changed(config, {"model.task": "video-multilabel"})
    Search(ranges={"temporal.units": [8]}, trials=1, inner_folds=2)(several, tmp_path / "search")
    assert f"inner mean average precision {score or 0:.3f}" in capsys.readouterr().out


RANGES = """
train.epochs = [10, 20]
[train.learning_rate]
low = 1e-4
high = 1e-2
log = true
[model]
dropout = {low = 0, high = 0.5}
"""


RANGE = "model.dropout must be a list of choices, or .* above 0 for log"
NO_RANGES = (
    *("[]", "3", "[nan]", "{low = 0.1}", "{low = 0, high = inf}", "{low = 0.3, high = 0.1}"),
    *("{low = false, high = 1}", "{low = 0, high = 1, log = true}"),
)
FIXED = ("split.fold", "frames.size", "model.task", "data")
MISTAKES = [
    ("train.epoch = [1]", "unknown train.epoch. Did you mean train.epochs"),
    ("", "must give a range of at least one setting"),
    ("train = [", "not a TOML file"),
    *((f"{key} = [1, 2]", f"{key} cannot be searched") for key in FIXED),
    *((f"model.dropout = {choices}", f"ranges.toml: {RANGE}") for choices in NO_RANGES),
]


def test_ranges_are_read_by_dotted_key_and_their_mistakes_told(tmp_path):
    (tmp_path / "ranges.toml").write_text(RANGES)
    assert read_ranges(tmp_path / "ranges.toml") == {
        "train.epochs": [10, 20],
        "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.dropout": {"low": 0, "high": 0.5},
    }
    for text, message in MISTAKES:
        (tmp_path / "ranges.toml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_ranges(tmp_path / "ranges.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_ranges(tmp_path / "none.toml")
