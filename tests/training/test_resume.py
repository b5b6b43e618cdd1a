"""A training that is killed and started again ends as one that was not."""

import csv
import dataclasses
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import TrainConfig
from pipeline.config.file import save_config
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.preparation import prepare
from pipeline.run import Run
from pipeline.training import precision
from pipeline.training.fit import Interrupted, train
from tests.processes import python_processes

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
COLUMNS = ("epoch", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")


@pytest.fixture(scope="module")
def config(blob_config):
    """With all that has a state: dropout, moments, averages, mixing, an order of videos."""
    augment = dataclasses.replace(
        blob_config.augment, mixup=dataclasses.replace(blob_config.augment.mixup, strength=0.2)
    )
    return dataclasses.replace(
        blob_config,
        augment=augment,
        model=dataclasses.replace(blob_config.model, dropout=0.3),
        temporal=dataclasses.replace(
            blob_config.temporal, dropout=0.2, input_dropout=0.1, recurrent_dropout=0.1
        ),
        train=TrainConfig(
            epochs=6,
            batch_size=10,
            learning_rate=5e-3,
            averaging=0.9,
            accumulate=2,
            patience=4,
            precision="float32",
        ),
    )


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    return train(config, tmp_path_factory.mktemp("runs") / "undisturbed")


def history(run):
    with run.history_file.open(newline="") as file:
        return [[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)]


def check_same(run, undisturbed):
    np.testing.assert_allclose(history(run), history(undisturbed), atol=1e-6)
    weights, wanted = (
        load_recognizer(each.model_file).get_weights() for each in (run, undisturbed)
    )
    for weight, other in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6)


def test_what_is_prepared_meanwhile_changes_nothing(
    config, undisturbed, blob_store, blob_videos, tmp_path
):
    """Nor its calibration and its export, for which it opens the data set again."""
    videos, data = tmp_path / "videos", tmp_path / "data"
    shutil.copytree(blob_videos, videos)
    shutil.copytree(blob_store.path, data)
    save_config(dataclasses.replace(config, data=str(data)), tmp_path / "run.toml")
    again = PrepareConfig(source="folder", path=str(videos), out=str(data), overwrite=True)
    again = dataclasses.replace(again, group_regex=r"g\d+", fps=10, size=32, workers=1)

    def another_class():
        (videos / "left").rename(videos / "zleft")
        return again

    def a_video_less():
        (videos / "right" / "g05 0.avi").unlink()
        return again

    def another_split():
        return dataclasses.replace(again, seed=3)

    changes = {"epoch   2": another_class, "epoch   3": a_video_less, "epoch   4": another_split}
    with python_processes() as start:
        run = Run(tmp_path / "run")
        process = start(SCRIPT, "--config", tmp_path / "run.toml", "--run", run.folder)
        for line in process.stdout:
            if change := changes.pop(line.split("/")[0], None):
                process.send_signal(signal.SIGSTOP)
                assert not prepare(change()).up_to_date
                process.send_signal(signal.SIGCONT)
        told = process.stderr.read()
        assert process.wait() == 0, told
    assert not changes
    assert told.count(f"{data} was prepared anew, moved or deleted. This training ends with") == 1
    check_same(run, undisturbed)
    assert run.calibration_file.is_file()
    assert run.litert_file.is_file()


def kill_after(config, folder, line, delay=0.0):
    """Starts the training in a process of its own and kills it once it printed a line."""
    save_config(config, folder.with_suffix(".toml"))
    command = [sys.executable, SCRIPT, "--config", folder.with_suffix(".toml"), "--run", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for output in process.stdout:
            if output.startswith(line):
                break
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("line", "delay"), [("epoch   2/6", 0.0), ("epoch   3/6", 0.15)])
def test_killed_and_started_again_equals_undisturbed(
    config, undisturbed, tmp_path, capsys, line, delay
):
    kill_after(config, tmp_path / "run", line, delay)
    assert Run(tmp_path / "run").checkpoint_file.is_file()

    run = train(config, tmp_path / "run")

    assert f"{run.folder}: goes on after epoch" in capsys.readouterr().out
    check_same(run, undisturbed)
    assert not run.checkpoint_file.exists()


def interrupted(config, folder, monkeypatch, epoch):
    """A run that Ctrl-C ended in the first step after an epoch, long after one was written."""
    from pipeline.training.alarms import Alarms

    def press(self, number, logs=None):
        if number == epoch:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Alarms, "on_epoch_begin", press)
        patch.setattr("pipeline.training.checkpoint.TIMES_AS_LONG", 1e9)
        with pytest.raises(Interrupted) as stop:
            train(config, folder)
    assert stop.value.epoch > 0
    with np.load(stop.value.run.checkpoint_file) as kept:
        state = json.loads(str(kept["arr_0"]))
    assert state["epoch"] == epoch, "the last one that was whole"
    return stop.value.run


@pytest.fixture(scope="module")
def stopped(config, tmp_path_factory):
    """By Ctrl-C after epoch 2; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        return interrupted(config, tmp_path_factory.mktemp("runs") / "stopped", patch, epoch=2)


@pytest.fixture
def copy_of_stopped(stopped, tmp_path):
    return Run(shutil.copytree(stopped.folder, tmp_path / "run"))


def test_ctrl_c_can_be_gone_on_from(config, undisturbed, tmp_path, monkeypatch):
    run = interrupted(config, tmp_path / "run", monkeypatch, epoch=4)
    assert (run.report / "curves.png").is_file()
    check_same(train(config, run.folder), undisturbed)


def test_a_training_on_recordings_can_be_gone_on_from(
    recording_config, tmp_path, monkeypatch, capsys
):
    """With windows cut at random, rare classes more often, mixing, and two stages."""
    mixup = dataclasses.replace(recording_config.augment.mixup, strength=0.2)
    config = dataclasses.replace(
        recording_config,
        augment=dataclasses.replace(recording_config.augment, mixup=mixup),
        model=dataclasses.replace(recording_config.model, task="frames-multilabel", dropout=0.2),
        temporal=dataclasses.replace(recording_config.temporal, stages=2, dropout=0.2),
        train=dataclasses.replace(recording_config.train, epochs=3, balanced=True),
    )
    whole = train(config, tmp_path / "whole")
    assert " classes right 0." in capsys.readouterr().out
    run = interrupted(config, tmp_path / "run", monkeypatch, epoch=1)
    check_same(train(config, run.folder), whole)


def test_what_ends_early_while_ctrl_c_is_pressed_has_ended(config, tmp_path, monkeypatch):
    from pipeline.training.alarms import Alarms

    def press_and_end(self, number, logs=None):
        if number == 1:
            self.model.stop_training = True
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Alarms, "on_epoch_end", press_and_end)
        with pytest.raises(Interrupted):
            train(config, tmp_path / "run")

    run = train(config, tmp_path / "run")

    assert len(history(run)) == 2
    assert not run.checkpoint_file.exists()


def test_a_precision_that_a_machine_chose_is_kept_on_another(
    config, undisturbed, tmp_path, monkeypatch
):
    auto = dataclasses.replace(config, train=dataclasses.replace(config.train, precision="auto"))
    for chosen in ("float32", "mixed_bfloat16"):
        monkeypatch.setattr(precision, "faster_precision", lambda chosen=chosen: (chosen, "here"))
        if chosen == "float32":
            run = interrupted(auto, tmp_path / "run", monkeypatch, epoch=2)
    check_same(train(auto, run.folder), undisturbed)
    assert run.config().train.precision == "float32"


def test_half_precision_goes_on_too(config, tmp_path, monkeypatch):
    """Its optimizer scales the loss, and has a state for that."""
    half = dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, precision="mixed_float16", accumulate=1, epochs=3),
    )
    run = interrupted(half, tmp_path / "run", monkeypatch, epoch=1)
    check_same(train(half, run.folder), train(half, tmp_path / "undisturbed"))


def test_what_was_made_of_the_model_so_far_is_discarded(config, copy_of_stopped, monkeypatch):
    """Else classifying and evaluating would use different models."""
    run = copy_of_stopped
    made = [run.litert_file, run.calibration_file, run.metrics_file, run.report / "index.html"]
    made.append(run.folder / "checkpoint.npz.0123abcd.tmp")  # of a kill
    (run.exports / "onnx").mkdir(parents=True)
    for file in made:
        file.write_text("of epoch 2")
    again = interrupted(config, run.folder, monkeypatch, epoch=4)
    assert not any(file.exists() for file in made)
    assert not run.exports.exists()
    assert (again.report / "curves.png").is_file()


def test_killed_before_the_first_checkpoint_of_an_epoch(config, undisturbed, tmp_path, monkeypatch):
    """Between the first model and the checkpoint of its epoch."""

    def die(file, state, *arrays):
        if json.loads(state)["epoch"]:
            raise OSError
        return savez(file, state, *arrays)

    savez = np.savez
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", die)
        with pytest.raises(OSError, match="checkpoint.npz"):
            train(config, tmp_path / "run")
    check_same(train(config, tmp_path / "run"), undisturbed)


@pytest.mark.parametrize("exported", [(), ("model.tflite",)])
def test_a_training_that_ended_unexported_is_left_to_be_exported(
    config, undisturbed, tmp_path, capsys, exported
):
    """Also one that was killed between the model and what is written beside it."""
    run = Run(shutil.copytree(undisturbed.folder, tmp_path / "run"))
    for name in exported:
        (run.folder / name).touch()
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    assert train(config, run.folder) == run
    assert capsys.readouterr().out == f"{run.folder}: is trained already\n"
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before
    with pytest.raises(ConfigError, match="holds an unfinished training with another seed"):
        train(dataclasses.replace(config, seed=7), run.folder)
    for name in ("model.tflite", "bundle.json"):
        (run.folder / name).touch()
    with pytest.raises(ConfigError, match="exists. Name another"):
        train(config, run.folder)


def test_a_data_set_that_was_moved_is_found_by_what_follows(config, undisturbed, tmp_path):
    """Calibrating and exporting look where the configuration of the run says."""
    run = Run(shutil.copytree(undisturbed.folder, tmp_path / "run"))
    moved = shutil.copytree(config.data, tmp_path / "moved")
    train(dataclasses.replace(config, data=str(moved)), run.folder)
    assert run.config() == dataclasses.replace(undisturbed.config(), data=str(moved))


def test_killed_while_the_folder_is_made(config, tmp_path, monkeypatch):
    """There is no half a folder, which no command would take for that of a run."""
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.training.run_folder._environment", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    short = dataclasses.replace(
        config, train=TrainConfig(epochs=1, batch_size=48, precision="float32")
    )
    assert train(short, tmp_path / "run").model_file.is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_nobody_else_trains_in_the_folder_meanwhile(config, tmp_path, hold):
    hold(tmp_path / "run")
    with pytest.raises(ConfigError, match="another process is training or testing .*run"):
        train(config, tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run").exists()


def test_another_training_does_not_go_on_from_it(config, copy_of_stopped):
    run = copy_of_stopped
    other = dataclasses.replace(config, seed=7)
    with pytest.raises(ConfigError, match=r"holds an unfinished training with another seed\."):
        train(other, run.folder)
    resplit = dataclasses.replace(config, split=dataclasses.replace(config.split, val_folds=3))
    with pytest.raises(ConfigError, match="with another split.val_folds, data"):
        train(resplit, run.folder)
    assert run.checkpoint_file.is_file()
    short = dataclasses.replace(other, train=dataclasses.replace(config.train, epochs=1))
    train(short, run.folder, overwrite=True)
    assert not run.checkpoint_file.exists()


def test_a_damaged_checkpoint_says_what_to_do(config, copy_of_stopped):
    run = copy_of_stopped
    data = run.checkpoint_file.read_bytes()
    with np.load(run.checkpoint_file) as content:
        _, *arrays = content.values()
    stateless = io.BytesIO()
    np.savez(stateless, "{}", *arrays)
    for damaged in (data[: len(data) // 2], stateless.getvalue()):
        run.checkpoint_file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"checkpoint.npz: damaged.* Train anew: --overwrite"):
            train(config, run.folder)


def test_accumulating_over_more_steps_than_there_are(config, tmp_path):
    changed = dataclasses.replace(config.train, accumulate=100)
    with pytest.raises(ConfigError, match=r"accumulate must be at most 30, .* Received: 100"):
        train(dataclasses.replace(config, train=changed), tmp_path / "run")
