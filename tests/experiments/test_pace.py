"""With how many epochs recipes fit into a time."""

import dataclasses

import pytest

from pipeline.errors import DataError
from pipeline.experiments import pace
from pipeline.experiments.pace import in_time
from pipeline.experiments.recipes import Recipe
from pipeline.experiments.trial import Trial
from pipeline.run import Run


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


def test_few_frames_are_seen_in_all_epochs_where_there_is_time(trials, blob_store, tmp_path):
    assert epochs(in_time(trials, blob_store, 2, tmp_path, 900)) == ALL
    assert not list(tmp_path.iterdir())


def test_what_fits_into_little_time_is_measured_once(trials, blob_store, tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "_timed", lambda *_: (2.0, 5.0))
    for seconds in (120, 899):  # 15 seconds of each training are for 8 epochs.
        assert epochs(in_time(trials, blob_store, 2, tmp_path, seconds))["plain"] == 8
    (tmp_path / "pace.json").unlink()
    assert epochs(in_time(trials, blob_store, 2, tmp_path, 510))["plain"] == 40


def test_too_little_time_is_refused_with_what_it_takes(trials, blob_store, tmp_path, monkeypatch):
    """11 seconds to time it, 2.25 times 5 + 8 * 2 / 3 for a recipe of a third, 12 to export."""
    monkeypatch.setattr(pace, "_timed", lambda *_: (2.0, 5.0))
    with pytest.raises(
        DataError, match=r"^0:46\.0 of --budget are left, .* about 0:46\.2 here"
    ) as e:
        in_time(trials, blob_store, 2, tmp_path, 46)
    assert str(e.value).endswith("Give it 1m or more; of a crossval, each fold")
    assert not (tmp_path / "pace.json").exists()
    in_time(trials, blob_store, 2, tmp_path, 46.5)


def test_a_training_is_timed(trials, blob_store, tmp_path):
    epoch, besides = pace._timed(trials[1], 2, tmp_path / "pace")
    assert epoch == min(row["seconds"] for row in Run(tmp_path / "pace").history())
    assert besides > 0


def test_what_takes_less_keeps_more_of_its_epochs(trials, blob_store, tmp_path):
    (tmp_path / "pace.json").write_text('{"share": 0.25}')
    found = in_time(trials, blob_store, 2, tmp_path, 1)
    assert epochs(found) == {"cheap": 45, "plain": 15, "longer": 30}
    assert epochs(trials) == ALL
