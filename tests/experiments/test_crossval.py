import dataclasses
import itertools
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import BackboneConfig, RunConfig
from pipeline.dataset.videos import resolve
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.evaluation.predictions import calibrated_predictions
from pipeline.evaluation.results import as_json
from pipeline.evaluation.views import as_text
from pipeline.experiments.crossval import (
    begin_folds,
    cross_validate,
    in_folds,
    predictions_of_folds,
)
from pipeline.experiments.jobs import Executor, measure_all
from pipeline.experiments.runs import measured, measured_file, with_whole_paths
from pipeline.experiments.search import Search, suggest
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run, folds_of
from tests.evaluation.made_up_crossval import made_up, write_crossval
from tests.experiments.conftest import drawing
from tests.runs import changed


@pytest.fixture(scope="module")
def config(tiny_config):
    return changed(tiny_config, {"split.folds": 3})


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    """A cross-validation of three folds, of drawn weights; not to be changed."""
    folder = tmp_path_factory.mktemp("crossval") / "run"
    with drawing():
        cross_validate(config, folder)
    return folder


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "run")


def crossed(*arguments, **options):
    """What `crossval.json` then holds."""
    return as_json(cross_validate(*arguments, **options))


def written(folder):
    return json.loads((folder / "crossval.json").read_text())


def test_each_video_is_tested_once_by_a_model_that_never_saw_its_group(folder, config):
    result = written(folder)
    answers = predictions_of_folds(folder)
    assert result["num_videos"] == len(set(answers.names)) == 16
    assert result["num_groups"] == 8
    assert result["main_score"] == "top1"
    top1 = result["video"]["top1"]
    assert top1 == pytest.approx(answers.correct.mean())
    low, high = result["video"]["top1_interval95"]
    assert low <= top1 <= high
    accuracies = [fold["top1"] for fold in result["folds"]]
    assert result["fold_mean"] == {"top1": pytest.approx(np.mean(accuracies))}
    assert sum(fold["num_videos"] for fold in result["folds"]) == 16
    assert (folder / "confusion.png").is_file()
    found = cross_validate(config, folder)
    text = as_text("crossval.txt", result=found)
    assert text.startswith("16 videos of 8 groups, each tested once; chance 0.500\n")
    found = dataclasses.replace(found, leaks=list("abcd"))
    leaking = as_text("crossval.txt", result=found)
    assert leaking.startswith("these figures are not to be believed: a, b, c, ...\n")


def test_what_is_done_is_not_done_again_and_other_settings_need_another_folder(
    folder, config, flow_store, drawn, tmp_path, capsys
):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    result = crossed(config, folder)
    assert not drawn
    done = [path for path in before if path.name in ("model.keras", "fold.json")]
    assert len(done) == 2 * 3
    assert all(path.stat().st_mtime_ns == before[path] for path in done)
    assert result == written(folder)
    search = Search(ranges={"train.learning_rate": [1e-3, 1e-2]}, trials=1)
    for values, message, choose in (
        ({"seed": 9, "train.precision": "auto"}, "a cross-validation with another seed. ", None),
        ({"data": str(flow_store.path)}, "with another data.*, data", None),
        ({}, "holds a cross-validation with another search", search),
        ({"split.folds": 0}, "split.folds must be at least 2", None),
    ):
        with pytest.raises(ConfigError, match=message):
            cross_validate(changed(config, values), folder, choose=choose)
        assert "precision" not in capsys.readouterr().out
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not the folder of a cross-validation"):
        cross_validate(config, tmp_path)


def test_folds_that_were_trained_but_not_tested_or_begun_go_on(
    copied, folder, config, drawn, tmp_path, monkeypatch
):
    """Also of a cluster, where the data set had its whole path; seconds of training count."""
    monkeypatch.chdir(tmp_path)
    trained, begun = (Run(copied / fold) for fold in ("fold-02", "fold-03"))
    for fold in (trained, begun):
        (fold.folder / "fold.json").unlink()
    trained.history_file.write_text(trained.history_file.read_text().replace("1,0.1,", "1,2000,"))
    begun.model_file.unlink()
    (begun.folder / "part.txt").touch()
    of_all = copied / "crossval.toml"
    relative = os.path.relpath(config.data)
    of_all.write_text(of_all.read_text().replace(config.data, relative))
    result = crossed(changed(config, {"data": relative}), Path("run"))
    assert drawn == [Path("run/fold-03")]
    assert (begun.folder / "part.txt").exists(), "it was not begun anew"
    assert (trained.folder / "fold.json").is_file()
    assert result["video"] == written(folder)["video"]
    assert 2000 < result["folds"][1]["seconds"] < 3000


def test_folds_that_other_processes_are_at_are_waited_for(
    copied, folder, config, hold, drawn, monkeypatch
):
    """They are not trained again; what a process that ends has not done is taken over."""
    monkeypatch.setattr("pipeline.experiments.jobs._LOOK_SECONDS", 0.1)
    folds = [copied / f"fold-{number:02d}" for number in (2, 3)]
    done = (folds[0] / "fold.json").read_text()
    others = []
    for fold in folds:
        (fold / "fold.json").unlink()
        others.append(hold(fold))
    with pytest.raises(ConfigError, match=r"another process is at work in .*or name .* \(--out\)"):
        cross_validate(changed(config, {"seed": 5}), copied, overwrite=True)
    threading.Timer(0.5, lambda: (folds[0] / "fold.json").write_text(done)).start()
    threading.Timer(1.0, others[1].kill).start()
    result = crossed(config, copied)
    assert not drawn
    expected = written(folder)
    assert result["folds"][:2] == expected["folds"][:2]
    assert result["video"] == expected["video"]
    assert others[0].poll() is None
    assert others[1].wait() < 0


def test_jobs_share_the_folds(copied, folder, config, capfd):
    """Of which one was trained, and one was not."""
    (copied / "fold-02" / "fold.json").unlink()
    shutil.rmtree(copied / "fold-03")
    result = crossed(config, copied, executor=Executor(processes=2))
    assert result["folds"][0] == written(folder)["folds"][0]
    assert result["folds"][1]["top1"] == written(folder)["folds"][1]["top1"]
    said = capfd.readouterr().out
    told = [line.split(":")[0] for line in said.splitlines() if line.startswith("fold")]
    assert sorted(told) == ["fold 2/3", "fold 3/3"]
    assert "epoch" not in said
    logs = [path.read_text() for path in sorted((copied / "logs").glob("*.log"))]
    assert [log.count("epoch   2/2") for log in logs] == [0, 1]


def nothing(job, told):
    """What comes of the work on a machine that sees another disk."""


def test_machines_of_beam_measure_the_folds(config, tmp_path, drawn, capsys, monkeypatch):
    """From whose folders the paths of the command lead nowhere."""
    monkeypatch.chdir(tmp_path)
    here = changed(config, {"data": os.path.relpath(config.data)})
    executor = Executor(beam_options="")
    result = crossed(here, Path("run"), executor=executor)
    assert drawn == [tmp_path / "run" / f"fold-0{number}" for number in (1, 2, 3)]
    assert [Path(Run(fold).config().data).is_absolute() for fold in drawn] == [True] * 3
    assert result == written(Path("run"))
    assert capsys.readouterr().out.count("fold 2/3") == 1, "is told once"
    monkeypatch.setattr("pipeline.experiments.jobs._measure_one", nothing)
    monkeypatch.setattr("pipeline.workers.beam._SEEN_SECONDS", 0)
    with pytest.raises(PipelineError, match="must see the folder .*/fold-01 under the same path"):
        cross_validate(config, tmp_path / "gone", executor=executor)
    assert len(drawn) == 3


def test_files_of_networks_are_named_for_any_machine(tmp_path, monkeypatch):
    """There are five folds unless another number is given."""
    assert in_folds(RunConfig()) == changed(RunConfig(), {"split.folds": 5})
    three = changed(RunConfig(), {"split.folds": 3})
    assert in_folds(three) == three
    monkeypatch.chdir(tmp_path)
    own = {"flow": BackboneConfig(name="nets/a.onnx"), "rgb": BackboneConfig(name="b.keras")}
    config = RunConfig(data="d", backbone=BackboneConfig(name="MobileNetV2", weights="w.h5"))
    found = with_whole_paths(dataclasses.replace(config, backbones=own))
    assert found.data == str(tmp_path / "d")
    assert (found.backbone.name, found.backbone.weights) == ("MobileNetV2", str(tmp_path / "w.h5"))
    names = {stream: (each.name, each.weights) for stream, each in found.backbones.items()}
    files = {"flow": str(tmp_path / "nets/a.onnx"), "rgb": str(tmp_path / "b.keras")}
    assert names == {stream: (file, "imagenet") for stream, file in files.items()}


def test_settings_are_searched_for_each_fold(copied, config, drawn, monkeypatch):
    """In place of the folds that were there, of which nothing is left."""
    rates = [1e-3, 3e-3]

    def score(self, trial, config, folder):
        return float(suggest(trial, "train.learning_rate", rates))  # the number of the choice

    monkeypatch.setattr(Search, "_score", score)
    two = changed(config, {"split.folds": 2, "train.epochs": 1})
    search = Search(ranges={"train.learning_rate": rates}, trials=4, inner_folds=2)
    with pytest.raises(ConfigError, match="with another split.folds, train.epochs, .*search"):
        cross_validate(two, copied, choose=search)
    result = crossed(two, copied, choose=search, overwrite=True)
    assert (copied / "fold-01-search" / "study.log").is_file()
    folds = folds_of(copied)
    assert [fold.folder.name for fold in folds] == ["fold-01", "fold-02"]
    assert [fold.folder for fold in folds] == drawn
    assert [fold.config().train.learning_rate for fold in folds] == [3e-3, 3e-3]
    assert result["num_videos"] == 16
    assert written(copied) == result


def test_what_folds_say_together(copied, config, monkeypatch, capsys):
    """Their leaks, and the scores of those that have any class."""

    def leaking(data, split, with_splits=PreparedDataset.with_splits):
        leaks = ("in all", f"in fold {split.fold}")
        return dataclasses.replace(with_splits(data, split), leaks=leaks)

    monkeypatch.setattr(PreparedDataset, "with_splits", leaking)
    for number, score in enumerate([0.5, None, 0.75], start=1):
        file = copied / f"fold-{number:02d}" / "fold.json"
        file.write_text(json.dumps({"top1": score, "seconds": 1.0}))
    result = crossed(config, copied)
    assert result["leaks"] == ["in all", "in fold 1", "in fold 2", "in fold 3"]
    assert result["fold_mean"] == {"top1": 0.625}
    assert result["fold_standard_deviation"]["top1"] == pytest.approx(0.125 * 2**0.5)
    assert "fold 2/3: top-1 –" in capsys.readouterr().out


def test_folds_that_cannot_be_are_told_of_before_any_is_trained(
    config, tiny_store, tmp_path, drawn, store_without_validation, monkeypatch
):
    rows = [row for row in tiny_store.manifest.rows if row.label == "left" or row.group == "g00"]
    lines = [f"{row.path},{row.label},{row.group}" for row in rows]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,group", *lines]))
    alone = {"data": str(tmp_path / "table.csv"), "split.folds": "groups"}
    with pytest.raises(DataError, match="right"):
        cross_validate(changed(config, alone), tmp_path / "run")
    assert not drawn
    # Of what was prepared anew, as by a job that comes to them later.
    data = shutil.copytree(tiny_store.path, tmp_path / "data")
    folds = begin_folds(changed(config, {"data": str(data)}), tmp_path / "out")
    shutil.rmtree(data)
    shutil.copytree(store_without_validation.path, data)
    with pytest.raises(DataError, match=r"data was prepared anew since .*out was begun: its runs"):
        measure_all(folds.jobs, lambda *_: None)
    assert not folds_of(tmp_path / "out")
    # One that was killed while its folder was made goes on.
    # The second one comes to its first fold.
    for broken in ("runs.save_config", "jobs.measured"):
        with monkeypatch.context() as patch:
            patch.setattr(f"pipeline.experiments.{broken}", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                cross_validate(config, tmp_path / "killed")


def test_each_recording_is_tested_once(recording_config, recording_store, tmp_path, capsys, drawn):
    # The data set tells the task.
    values = {"model.task": "auto", "split.folds": 2, "clip.shrink": 2, "temporal.units": 4}
    config = changed(recording_config, values)
    found = cross_validate(config, tmp_path)
    result = written(tmp_path)
    assert result["main_score"] == "accuracy"
    assert [fold["num_videos"] for fold in result["folds"]] == [4, 4]
    by_fold = [calibrated_predictions(Run(fold), "test").recordings() for fold in drawn]
    groups = [[each.group for each in recordings] for recordings in by_fold]
    assert sorted(itertools.chain(*groups)) == sorted(recording_store.manifest.groups)
    right = [[(each.holds == each.answers).all(axis=1) for each in of] for of in by_fold]
    by_hand = [np.concatenate(of).mean() for of in right]
    assert [fold["accuracy"] for fold in result["folds"]] == pytest.approx(by_hand)
    assert result["fold_mean"]["accuracy"] == pytest.approx(np.mean(by_hand))
    # The recordings are of one length, and so are the folds.
    assert result["frames"]["accuracy"] == pytest.approx(np.mean(by_hand))
    assert result["frames"]["num_recordings"] == 8
    assert result["fold_mean"].keys() == {"accuracy", "f1_50", "edit"}
    text = as_text("crossval.txt", result=found)
    assert "each tested once: 8 recordings of 8 groups" in text
    assert f"folds  accuracy {np.mean(by_hand):.3f} (standard deviation" in text
    assert f"fold 1/2: accuracy {by_hand[0]:.3f}" in capsys.readouterr().out
    assert crossed(config, tmp_path)["frames"] == result["frames"]
    assert drawn == [tmp_path / "fold-01", tmp_path / "fold-02"], "once"


def test_videos_of_several_labels_are_pooled(tmp_path):
    # A class may be called as another column is.
    names, task = ["walk", "label"], "video-multilabel"
    logits, targets = [[2, -1], [-2, 1]], [[1, 1], [0, 0]]
    first = made_up(logits, targets, ["a.avi", "b.avi"], ["g1", "g2"], names, task)
    other = made_up([[-1, 3]], [[0, 1]], ["c.avi"], ["g3"], names, task)
    scores = predictions_of_folds(write_crossval(tmp_path, names, [first, other])).scores()
    scores = as_json(scores)["videos"]
    assert scores["num_videos"] == scores["num_groups"] == 3
    assert scores["accuracy"] == pytest.approx(1 / 3)
    precision = {name: row["average_precision"] for name, row in scores["per_class"].items()}
    assert precision == {"walk": 1.0, "label": pytest.approx((1 + 2 / 3) / 2)}


def test_a_run_whose_precision_was_decided_is_the_one_that_was_begun(config, drawn, tmp_path):
    _, known = resolve(changed(config, {"train.precision": "auto"}))
    run = Run(tmp_path / "run")
    for _ in range(2):
        measured(known, run, "test")
        measured_file(run).unlink()
    assert drawn == [run.folder], "once"
