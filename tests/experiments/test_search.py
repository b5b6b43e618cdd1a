import dataclasses

import pytest

from pipeline.config import SplitConfig
from pipeline.errors import ConfigError
from pipeline.experiments.search import Search, import_optuna, read_ranges


@pytest.fixture
def config(blob_config):
    return dataclasses.replace(
        blob_config,
        split=SplitConfig(folds=4, fold=2),
        train=dataclasses.replace(blob_config.train, epochs=4),
    )


def test_the_better_settings_are_found_and_the_study_goes_on(config, tmp_path):
    ranges = {"train.learning_rate": [1e-9, 5e-3], "backbone.filters": [[8, 16]]}
    folder = tmp_path / "fold-02-search"
    found = Search(ranges=ranges, trials=3, inner_folds=2)(config, folder)
    assert found.train.learning_rate == 5e-3
    assert found.backbone.filters == (8, 16)
    assert found.split == config.split
    assert (folder / "trials.png").is_file()
    assert not (folder / "trial").exists()

    again = Search(ranges=ranges, trials=3, inner_folds=2)(config, folder)

    assert again == found
    study = import_optuna().load_study(
        study_name=folder.name, storage=f"sqlite:///{folder}/study.db"
    )
    assert len(study.trials) == 3


RANGES = """
train.epochs = [10, 20]
[train.learning_rate]
low = 1e-4
high = 1e-2
log = true
[model]
dropout = {low = 0, high = 0.5}
"""


def test_ranges_are_read_by_dotted_key(tmp_path):
    (tmp_path / "ranges.toml").write_text(RANGES)
    assert read_ranges(tmp_path / "ranges.toml") == {
        "train.epochs": [10, 20],
        "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.dropout": {"low": 0, "high": 0.5},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epoch = [1]", "unknown train.epoch. Did you mean train.epochs"),
        ("train.epochs = []", "train.epochs must be a list of choices"),
        ("train.epochs = 3", "train.epochs must be a list of choices"),
        ("train.epochs = {low = 3}", "train.epochs must be a list of choices"),
        ("train.epochs = {low = 3, high = 1}", "train.epochs must be a list of choices"),
        ("", "must give a range of at least one setting"),
        ("train = [", "not a TOML file"),
    ],
)
def test_mistakes_in_ranges(tmp_path, text, message):
    (tmp_path / "ranges.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_ranges(tmp_path / "ranges.toml")


def test_mistakes_in_the_search(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_ranges(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="--trials must be at least 1"):
        Search(ranges={}, trials=0)
    with pytest.raises(ConfigError, match="--inner-folds must be at least 2"):
        Search(ranges={}, inner_folds=1)
