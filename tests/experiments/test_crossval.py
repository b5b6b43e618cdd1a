import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.crossval import format_crossval
from pipeline.config import BackboneConfig, ModelConfig, RunConfig, SplitConfig, TemporalConfig
from pipeline.dataset.resplit import with_splits
from pipeline.dataset.videos import open_of_run
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.evaluation.answers import read_answers
from pipeline.evaluation.recordings import read_recordings
from pipeline.experiments.crossval import begin_folds, cross_validate
from pipeline.experiments.pieces import Spread, measure_all
from pipeline.experiments.ranges import suggest
from pipeline.experiments.runs import with_whole_paths
from pipeline.experiments.search import Search
from pipeline.run import Run, folds_of
from pipeline.training.callbacks import EpochLog
from tests.dask_cluster import dask_cluster


@pytest.fixture(scope="module")
def config(blob_config):
    return dataclasses.replace(
        blob_config,
        split=SplitConfig(folds=3),
        backbone=BackboneConfig(filters=(4,)),
        temporal=TemporalConfig(kind="mean"),  # Which is built and trained in half the time.
        train=dataclasses.replace(blob_config.train, epochs=2),
    )


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    """A cross-validation of three folds; not to be changed."""
    folder = tmp_path_factory.mktemp("crossval") / "run"
    cross_validate(config, folder)
    return folder


def test_each_video_is_tested_once_by_a_model_that_never_saw_its_group(folder, blob_store):
    result = json.loads((folder / "crossval.json").read_text())
    names = blob_store.class_names
    answers = read_answers(folds_of(folder), "test", ModelConfig(), names)
    assert result["num_videos"] == len(set(answers.names)) == 80
    assert result["num_groups"] == 20
    assert result["main_score"] == "top1"
    top1 = result["video"]["top1"]
    assert top1 == pytest.approx(answers.correct.mean())
    low, high = result["video"]["top1_interval95"]
    assert low <= top1 <= high
    accuracies = [fold["top1"] for fold in result["folds"]]
    assert result["fold_mean"] == {"top1": pytest.approx(np.mean(accuracies))}
    deviation = pytest.approx(np.std(accuracies, ddof=1))
    assert result["fold_standard_deviation"] == {"top1": deviation}
    assert sum(fold["num_videos"] for fold in result["folds"]) == 80
    assert (folder / "confusion.png").is_file()


def test_what_is_done_is_not_done_again(folder, config, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    result = cross_validate(config, folder)
    assert "epoch" not in capsys.readouterr().out
    done = [path for path in before if path.name in ("model.keras", "fold.json")]
    assert len(done) == 2 * 3
    assert all(path.stat().st_mtime_ns == before[path] for path in done)
    assert result == json.loads((folder / "crossval.json").read_text())


def test_folds_of_what_was_prepared_anew_since_are_refused(
    config, blob_store, store_without_validation, tmp_path
):
    """As those of a job, or of another machine, that comes to them later."""
    data = shutil.copytree(blob_store.path, tmp_path / "data")
    folds = begin_folds(dataclasses.replace(config, data=str(data)), tmp_path / "out")
    shutil.rmtree(data)
    shutil.copytree(store_without_validation.path, data)
    with pytest.raises(DataError, match=r"data was prepared anew since .*out was begun: its runs"):
        measure_all(folds.pieces, lambda *_: None)
    assert not folds_of(tmp_path / "out")


def test_other_settings_need_another_folder(folder, config, tmp_path, capsys):
    open_precision = dataclasses.replace(config.train, precision="auto")
    other = dataclasses.replace(config, seed=9, train=open_precision)
    with pytest.raises(ConfigError, match="holds a cross-validation with another seed. "):
        cross_validate(other, folder)
    assert "precision" not in capsys.readouterr().out
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not the folder of a cross-validation"):
        cross_validate(config, tmp_path)
    with pytest.raises(ConfigError, match="split.folds must be at least 2"):
        cross_validate(dataclasses.replace(config, split=SplitConfig()), tmp_path / "x")


def test_a_fold_that_is_missing_is_made_up_for_and_goes_on_after_ctrl_c(
    folder, config, tmp_path, monkeypatch, capsys
):
    def press(self, number, logs=None):
        if number == 1:
            raise KeyboardInterrupt
        return log(self, number, logs)

    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "fold-02")
    (tmp_path / "run" / "crossval.json").unlink()
    log = EpochLog.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(EpochLog, "on_epoch_end", press)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(config, tmp_path / "run")
    assert not (tmp_path / "run" / "crossval.json").exists()
    output = capsys.readouterr().out
    assert "fold 1/3" in output
    assert "fold 2/3" not in output

    result = cross_validate(config, tmp_path / "run")

    output += capsys.readouterr().out
    assert "fold-02: goes on after epoch 1" in output
    assert output.count("epoch   1/2") == output.count("epoch   2/2") == 1
    wanted = json.loads((folder / "crossval.json").read_text())
    assert [fold["top1"] for fold in result["folds"]] == [fold["top1"] for fold in wanted["folds"]]


def test_a_fold_that_was_trained_but_not_tested_is_tested_alone(folder, config, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "run")
    fold = Run(tmp_path / "run" / "fold-02")
    (fold.folder / "fold.json").unlink()
    header, *rows = fold.history_file.read_text().splitlines()
    slow = [row.split(",") for row in rows]
    lines = [header, *(",".join([epoch, "1000", *others]) for epoch, _, *others in slow)]
    fold.history_file.write_text("\n".join(lines))
    result = cross_validate(config, tmp_path / "run")
    assert "epoch" not in capsys.readouterr().out
    wanted = json.loads((folder / "crossval.json").read_text())
    assert result["video"] == wanted["video"]
    assert 2000 < result["folds"][1]["seconds"] < 3000, "those of the training count"


def test_a_fold_that_another_process_is_at_is_waited_for(folder, config, tmp_path, hold, capsys):
    """It is not trained again, even though this process has nothing else to do."""
    shutil.copytree(folder, tmp_path / "run")
    fold = tmp_path / "run" / "fold-02"
    done = (fold / "fold.json").read_text()
    (fold / "fold.json").unlink()
    hold(fold)
    other = threading.Timer(2, lambda: (fold / "fold.json").write_text(done))
    other.start()
    result = cross_validate(config, tmp_path / "run")
    other.join()
    assert "epoch" not in capsys.readouterr().out
    assert result["folds"] == json.loads((folder / "crossval.json").read_text())["folds"]


def test_a_fold_whose_process_ended_is_taken_over(folder, config, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    fold = tmp_path / "run" / "fold-02"
    (fold / "fold.json").unlink()
    holding = f"""
from pathlib import Path
from pipeline.locks import alone
with alone(Path({str(fold)!r}), "training in"):
    print("held", flush=True)
    input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    killer = threading.Timer(2, other.kill)
    killer.start()
    result = cross_validate(config, tmp_path / "run")
    assert other.wait() == -signal.SIGKILL
    other.communicate()
    expected = json.loads((folder / "crossval.json").read_text())
    assert result["video"] == expected["video"]


def test_nobody_overwrites_a_fold_that_another_process_is_at(folder, config, hold):
    hold(folder / "fold-02")
    other = dataclasses.replace(config, seed=5)
    with pytest.raises(ConfigError, match=r"another process is at work in .*or name .* \(--out\)"):
        cross_validate(other, folder, overwrite=True)


def test_jobs_share_the_folds_and_find_the_same(folder, config, tmp_path, capfd):
    result = cross_validate(config, tmp_path / "run", spread=Spread(jobs=2))
    expected = json.loads((folder / "crossval.json").read_text())
    assert result["video"]["top1"] == pytest.approx(expected["video"]["top1"], abs=0.1)
    said = capfd.readouterr().out
    assert sorted(line.split(":")[0] for line in said.splitlines() if line.startswith("fold")) == [
        "fold 1/3",
        "fold 2/3",
        "fold 3/3",
    ]
    assert "epoch" not in said
    logs = [path.read_text() for path in sorted((tmp_path / "run" / "logs").glob("*.log"))]
    assert [log.count("epoch   2/2") for log in logs] == [1, 1, 1]


def test_a_cluster_of_dask_measures_the_folds(folder, config, tmp_path, capsys, monkeypatch):
    """Its workers run in another folder, from which the paths of the command lead nowhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere" / "deeper").mkdir(parents=True)
    here = dataclasses.replace(config, data=os.path.relpath(config.data))
    with dask_cluster(tmp_path, 2, cwd=tmp_path / "elsewhere" / "deeper") as cluster:
        spread = Spread(beam_options=cluster.beam_options)
        result = cross_validate(here, Path("run"), spread=spread)
    assert "epoch" not in capsys.readouterr().out  # That was in other processes.
    expected = json.loads((folder / "crossval.json").read_text())
    assert result["video"]["top1"] == pytest.approx(expected["video"]["top1"], abs=0.1)


def nothing(piece, told):
    """What comes of the work on a machine that sees another disk."""


def test_folds_that_are_not_here_are_not_trained_again(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.experiments.pieces._measure_one", nothing)
    monkeypatch.setattr("pipeline.workers.beam._SEEN_SECONDS", 0)
    with pytest.raises(PipelineError, match="must see the folder .*/fold-01 under the same path"):
        cross_validate(config, tmp_path / "run", spread=Spread(beam_options=""))
    assert "epoch" not in capsys.readouterr().out


def test_a_fold_of_a_cluster_goes_on_here(folder, config, tmp_path, monkeypatch):
    """There the data set had its whole path."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "fold-02" / "fold.json").unlink()
    model = tmp_path / "run" / "fold-02" / "model.keras"
    written = model.stat().st_mtime_ns
    begun = tmp_path / "run" / "crossval.toml"
    relative = os.path.relpath(config.data)
    begun.write_text(begun.read_text().replace(config.data, relative))
    cross_validate(dataclasses.replace(config, data=relative), Path("run"))
    assert (tmp_path / "run" / "fold-02" / "fold.json").is_file()
    assert model.stat().st_mtime_ns == written


def test_files_of_networks_are_named_for_any_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"flow": BackboneConfig(name="nets/a.onnx"), "rgb": BackboneConfig(name="b.keras")}
    config = RunConfig(data="d", backbone=BackboneConfig(name="MobileNetV2", weights="w.h5"))
    found = with_whole_paths(dataclasses.replace(config, backbones=own))
    assert found.data == str(tmp_path / "d")
    assert (found.backbone.name, found.backbone.weights) == ("MobileNetV2", str(tmp_path / "w.h5"))
    names = {stream: (each.name, each.weights) for stream, each in found.backbones.items()}
    assert names == {
        "flow": (str(tmp_path / "nets/a.onnx"), "imagenet"),
        "rgb": (str(tmp_path / "b.keras"), "imagenet"),
    }


def test_settings_are_searched_for_each_fold(config, tmp_path, monkeypatch):
    rates = [1e-3, 3e-3]

    def score(self, trial, config, folder):
        return float(suggest(trial, "train.learning_rate", rates))  # the number of the choice

    monkeypatch.setattr(Search, "_score", score)
    short = dataclasses.replace(
        config,
        split=SplitConfig(folds=2),
        train=dataclasses.replace(config.train, epochs=1),
    )
    search = Search(ranges={"train.learning_rate": rates}, trials=4, inner_folds=2)
    result = cross_validate(short, tmp_path / "run", choose=search)
    assert (tmp_path / "run" / "fold-01-search" / "study.log").is_file()
    folds = folds_of(tmp_path / "run")
    assert [fold.folder.name for fold in folds] == ["fold-01", "fold-02"]
    assert [fold.config().train.learning_rate for fold in folds] == [3e-3, 3e-3]
    assert result["num_videos"] == 80
    assert json.loads((tmp_path / "run" / "crossval.json").read_text()) == result


def test_one_that_was_killed_while_its_folder_was_made(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.experiments.runs.save_config", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cross_validate(config, tmp_path / "run")
    monkeypatch.setattr("pipeline.experiments.pieces.measured", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # It comes to its first fold.
        cross_validate(config, tmp_path / "run")


def test_the_leaks_of_all_folds_are_told(folder, config, blob_store, tmp_path, monkeypatch):
    """A video that is in two groups, which the first fold both has in training."""

    def leaks_between(first, second):
        duplicates = (("the same video", (first, second)),)
        settings = {**blob_store.settings, "allow_leaks": True}
        store = dataclasses.replace(blob_store, duplicates=duplicates, settings=settings)
        splits = [SplitConfig(folds=3, fold=fold) for fold in (1, 2, 3)]
        return store, [list(with_splits(store, split).leaks) for split in splits]

    rows = range(len(blob_store.manifest.rows))
    stores = (leaks_between(0, other) for other in rows)
    store, by_fold = next((s, found) for s, found in stores if not found[0] and any(found))
    whole = open_of_run(config)[0]
    monkeypatch.setattr(
        "pipeline.experiments.crossval.open_of_run",
        lambda asked: (whole, with_splits(store, asked.split)),
    )
    shutil.copytree(folder, tmp_path / "run")
    result = cross_validate(config, tmp_path / "run")
    assert result["leaks"] == list(dict.fromkeys(leak for found in by_fold for leak in found))


def test_overwriting_leaves_nothing_of_the_folds_before(folder, config, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    two = dataclasses.replace(
        config,
        split=SplitConfig(folds=2),
        train=dataclasses.replace(config.train, epochs=1),
    )
    with pytest.raises(ConfigError, match="with another split.folds, train.epochs"):
        cross_validate(two, tmp_path / "run")
    result = cross_validate(two, tmp_path / "run", overwrite=True)
    assert result["num_videos"] == 80
    assert not (tmp_path / "run" / "fold-03").exists()


def test_other_videos_or_another_search_need_another_folder(folder, config, flow_store):
    moved = dataclasses.replace(config, data=str(flow_store.path))
    with pytest.raises(ConfigError, match="with another data.*, data"):
        cross_validate(moved, folder)
    search = Search(ranges={"train.learning_rate": [1e-3, 1e-2]}, trials=1)
    with pytest.raises(ConfigError, match="holds a cross-validation with another search"):
        cross_validate(config, folder, choose=search)


def test_a_fold_that_cannot_be_is_told_of_before_any_is_trained(
    config, blob_videos, tmp_path, capsys
):
    root = tmp_path / "videos"
    for label, groups in {"left": range(4), "right": range(1)}.items():
        (root / label).mkdir(parents=True)
        for group in groups:
            name = f"g{group:02d} 0.avi"
            shutil.copy(blob_videos / label / name, root / label / name)
    lines = [f"{path},{path.parent.name},{path.stem[:3]}" for path in sorted(root.rglob("*.avi"))]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,group", *lines]))
    alone = dataclasses.replace(
        config, data=str(tmp_path / "table.csv"), split=SplitConfig(folds="groups")
    )
    with pytest.raises(DataError, match="right"):
        cross_validate(alone, tmp_path / "run")
    assert "epoch" not in capsys.readouterr().out


def test_the_summary_for_a_terminal(folder):
    result = json.loads((folder / "crossval.json").read_text())
    text = format_crossval(result)
    assert text.startswith("80 videos of 20 groups, each tested once; chance 0.500\n")
    leaking = format_crossval({**result, "leaks": list("abcd")})
    assert leaking.startswith("these figures are not to be believed: a, b, c, ...\n")


def test_each_recording_is_tested_once(recording_config, recording_store, tmp_path, capsys):
    config = dataclasses.replace(
        recording_config,
        model=ModelConfig(dropout=0),  # whose task the data set tells
        split=SplitConfig(folds=2),
        train=dataclasses.replace(recording_config.train, epochs=1),
    )
    cross_validate(config, tmp_path)
    result = json.loads((tmp_path / "crossval.json").read_text())
    assert result["main_score"] == "accuracy"
    assert [fold["num_videos"] for fold in result["folds"]] == [4, 4]
    by_fold = [
        read_recordings(tmp_path / f"fold-{fold:02d}/report/test_frames.npz") for fold in (1, 2)
    ]
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
    text = format_crossval(result)
    assert "each tested once: 8 recordings of 8 groups" in text
    assert f"folds  accuracy {np.mean(by_hand):.3f} (standard deviation" in text
    assert f"fold 1/2: accuracy {by_hand[0]:.3f}" in capsys.readouterr().out
    done = Run(tmp_path / "fold-01").model_file.stat().st_mtime_ns
    assert cross_validate(config, tmp_path)["frames"] == result["frames"]
    assert Run(tmp_path / "fold-01").model_file.stat().st_mtime_ns == done


FOLDS = (
    "a.avi,g1,walk;wave,walk,0.9000,0.2000\nb.avi,g2,,wave,0.1000,0.6000\n",
    "c.avi,g3,wave,wave,0.3000,0.8000\n",
)


def test_videos_of_several_labels_are_pooled(tmp_path):
    for number, lines in enumerate(FOLDS):
        report = tmp_path / f"fold-{number}" / "report"
        report.mkdir(parents=True)
        # A class may be called as another column is.
        head = "video,group,label,predicted,walk,label\n"
        (report / "test_predictions.csv").write_text(head + lines.replace("wave", "label"))
    model = ModelConfig(task="video-multilabel")
    answers = read_answers(folds_of(tmp_path), "test", model, ["walk", "label"])
    scores = answers.scores(model, ["walk", "label"])["videos"]
    assert scores["num_videos"] == scores["num_groups"] == 3
    assert scores["accuracy"] == pytest.approx(1 / 3)
    precision = {name: row["average_precision"] for name, row in scores["per_class"].items()}
    assert precision == {"walk": 1.0, "label": pytest.approx((1 + 2 / 3) / 2)}


def test_a_fold_without_any_class_has_no_main_score(folder, config, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "run")
    for number, score in enumerate([0.5, None, 0.75], start=1):
        file = tmp_path / "run" / f"fold-{number:02d}" / "fold.json"
        file.write_text(json.dumps({"top1": score, "seconds": 1.0}))
    result = cross_validate(config, tmp_path / "run")
    assert result["fold_mean"] == {"top1": 0.625}
    assert result["fold_standard_deviation"]["top1"] == pytest.approx(0.125 * 2**0.5)
    assert "fold 2/3: top-1 –" in capsys.readouterr().out
