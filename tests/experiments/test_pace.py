"""With how many epochs recipes fit into a time."""

import csv
import dataclasses
import json

import pytest

from pipeline.experiments import pace
from pipeline.experiments.pace import in_time
from pipeline.experiments.recipes import Recipe
from pipeline.experiments.trial import Trial


@pytest.fixture
def trials(blob_config, blob_store, tmp_path):
    def trial(name, cost, epochs, needs=()):
        train = dataclasses.replace(blob_config.train, epochs=epochs, precision="float32")
        config = dataclasses.replace(blob_config, data=str(blob_store.path), train=train)
        return Trial(Recipe(name, "small", needs=needs, cost=cost), config, tmp_path / name)

    return [trial("cheap", 2, 60, ("pose",)), trial("plain", 6, 60), trial("longer", 12, 120)]


def epochs(trials):
    return {trial.recipe.name: trial.config.train.epochs for trial in trials}


ALL = {"cheap": 60, "plain": 60, "longer": 120}


def test_few_frames_are_seen_in_all_epochs(trials, blob_store, tmp_path):
    assert epochs(in_time(trials, blob_store, 2, tmp_path, 1e-9)) == ALL
    assert not list(tmp_path.iterdir())


def test_of_many_frames_a_training_is_timed_once(trials, blob_store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pace, "_MANY_FRAMES", 1)
    assert epochs(in_time(trials, blob_store, 2, tmp_path, 1e-9)) == dict.fromkeys(ALL, 8)
    assert capsys.readouterr().out == "8 of 60 epochs fit into the time\n"
    file = tmp_path / "pace.json"
    took = file.stat().st_mtime_ns
    assert epochs(in_time(trials, blob_store, 2, tmp_path, 1e9)) == dict.fromkeys(ALL, 8)
    assert file.stat().st_mtime_ns == took
    file.unlink()
    assert epochs(in_time(trials, blob_store, 2, tmp_path, 1e9)) == ALL
    epoch = 1e9 / json.loads(file.read_text())["share"] / 6 / 60
    with (tmp_path / "pace" / "history.csv").open(newline="") as history:
        assert epoch == pytest.approx(min(float(row["seconds"]) for row in csv.DictReader(history)))


def test_what_takes_less_keeps_more_of_its_epochs(trials, blob_store, tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "_MANY_FRAMES", 1)
    (tmp_path / "pace.json").write_text('{"share": 0.25}')
    found = in_time(trials, blob_store, 2, tmp_path, 1)
    assert epochs(found) == {"cheap": 45, "plain": 15, "longer": 30}
    assert epochs(trials) == ALL
