import dataclasses
import json
import shutil

import numpy as np
import pytest

from pipeline.config import SplitConfig
from pipeline.errors import ConfigError
from pipeline.experiments.crossval import cross_validate, format_crossval, read_answers


@pytest.fixture(scope="module")
def config(blob_config):
    return dataclasses.replace(
        blob_config,
        split=SplitConfig(folds=3),
        train=dataclasses.replace(blob_config.train, epochs=3),
    )


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    """A cross-validation of three folds; not to be changed."""
    folder = tmp_path_factory.mktemp("crossval") / "run"
    cross_validate(config, folder)
    return folder


def test_each_video_is_tested_once_by_a_model_that_never_saw_its_group(folder, blob_store):
    result = json.loads((folder / "crossval.json").read_text())
    answers = read_answers(folder, blob_store.class_names)
    assert result["num_videos"] == len(set(answers.videos)) == 80
    assert result["num_groups"] == 20
    assert result["top1"] == pytest.approx(answers.correct.mean())
    low, high = result["top1_interval95"]
    assert low <= result["top1"] <= high
    accuracies = [fold["top1"] for fold in result["folds"]]
    assert result["fold_mean"] == pytest.approx(np.mean(accuracies))
    assert result["fold_standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert sum(fold["num_videos"] for fold in result["folds"]) == 80
    assert (folder / "confusion.png").is_file()


def test_what_is_done_is_not_done_again(folder, config, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    result = cross_validate(config, folder)
    assert "epoch" not in capsys.readouterr().out
    models = [path for path in before if path.name == "model.keras"]
    assert len(models) == 3
    assert all(path.stat().st_mtime_ns == before[path] for path in models)
    assert result == json.loads((folder / "crossval.json").read_text())


def test_a_fold_that_is_missing_is_made_up_for(folder, config, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "fold-02")
    result = cross_validate(config, tmp_path / "run")
    assert capsys.readouterr().out.count("epoch   1/3") == 1
    wanted = json.loads((folder / "crossval.json").read_text())
    assert [fold["top1"] for fold in result["folds"]] == [fold["top1"] for fold in wanted["folds"]]


def test_other_settings_need_another_folder(folder, config, tmp_path):
    other = dataclasses.replace(config, seed=9)
    with pytest.raises(ConfigError, match="holds a cross-validation with another seed"):
        cross_validate(other, folder)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not the folder of a cross-validation"):
        cross_validate(config, tmp_path)
    with pytest.raises(ConfigError, match="split.folds must be at least 2"):
        cross_validate(dataclasses.replace(config, split=SplitConfig()), tmp_path / "x")


def test_the_summary_for_a_terminal(folder):
    result = json.loads((folder / "crossval.json").read_text())
    text = format_crossval(result)
    assert text.startswith("80 videos of 20 groups, each tested once; chance 0.500\n")
    leaking = format_crossval({**result, "leaks": ["a is in b"]})
    assert leaking.startswith("these figures are not to be believed: a is in b\n")
