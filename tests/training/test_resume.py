"""A training that is killed and started again ends as one that was not."""

import contextvars
import io
import json
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import train as train_command
from pipeline.config.file import save_config
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.videos import resolve
from pipeline.errors import ConfigError, DataError
from pipeline.prepare.preparation import prepare
from pipeline.run import Run
from pipeline.training import guards, run_folder
from pipeline.training.fit import Interrupted, train
from pipeline.training.guards import Alarms, TrainingWarning
from tests.processes import python_processes
from tests.runs import changed, expect_same

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
STATES = {
    "augment.mixup.strength": 0.2,
    "model.dropout": 0.3,
    "temporal.kind": "gru",
    "temporal.units": 4,
    "temporal.dropout": 0.2,
    "temporal.input_dropout": 0.1,
    "temporal.recurrent_dropout": 0.1,
    "train.epochs": 5,
    "train.ema_momentum": 0.9,
    "train.gradient_accumulation_steps": 2,
    "train.batch_size": 3,
    "train.patience": 4,
}
"""All that has a state: dropout, moments, averages, mixing, an order of videos."""


@pytest.fixture(scope="module")
def config(tiny_config):
    return changed(tiny_config, STATES)


def train_with_copy(config, folder, epoch):
    """Trains a run, beside copies of it as kills would leave it, before and after some epochs."""
    begin = Alarms.on_epoch_begin

    def copy(self, number, logs=None):
        if number in (0, epoch):
            shutil.copytree(folder / "whole", folder / f"killed after {number}")
        return begin(self, number, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alarms, "on_epoch_begin", copy)
        patch.setattr("pipeline.training.checkpoint.TIMES_AS_LONG", 0)
        return train(config, folder / "whole").run


@pytest.fixture(scope="module")
def undisturbed(config, made):
    """A run that was not stopped; not to be changed."""
    return Run(made("undisturbed", lambda folder: train_with_copy(config, folder, 1)) / "whole")


def stop_after(config, folder, epoch):
    """Ctrl-C ends a run in the first step after an epoch, long after one was written."""

    def press(self, number, logs=None):
        if number == epoch:
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alarms, "on_epoch_begin", press)
        patch.setattr("pipeline.training.checkpoint.TIMES_AS_LONG", 1e9)
        with pytest.raises(Interrupted) as stop:
            train(config, folder)
    assert stop.value.epoch > 0
    assert stop.value.opened.run == Run(folder)


@pytest.fixture
def stopped(config, made, tmp_path):
    """A copy of a run that Ctrl-C ended after epoch 2."""
    run = made("stopped", lambda folder: stop_after(config, folder, 2))
    return Run(shutil.copytree(run, tmp_path / "run"))


def test_what_is_prepared_meanwhile_changes_nothing(
    config, undisturbed, tiny_store, tmp_path, monkeypatch
):
    """Nor its calibration and its export, for which it opens the data set again."""
    table, data, run = tmp_path / "table.csv", tmp_path / "data", Run(tmp_path / "run")
    shutil.copytree(tiny_store.path, data)
    lines = (tiny_store.path.parent / "table.csv").read_text().splitlines()
    save_config(changed(config, {"data": str(data)}), tmp_path / "run.toml")
    frames = {"fps": 5, "size": 16, "flow": True, "workers": 1}
    again = PrepareConfig(source="csv", path=str(table), out=str(data), overwrite=True, **frames)
    another_class = [line.replace(",left,", ",zleft,") for line in lines]
    fewer_in_another_split = [line.replace(",val", ",train") for line in lines[:-1]]
    changes = {1: another_class, 2: fewer_in_another_split}
    begin = Alarms.on_epoch_begin

    def change(self, number, logs=None):
        if content := changes.pop(number, None):
            table.write_text("\n".join(content))
            # As another process does: this one has the data set open.
            assert not contextvars.Context().run(prepare, again).up_to_date
        return begin(self, number, logs)

    monkeypatch.setattr(Alarms, "on_epoch_begin", change)
    with pytest.warns(TrainingWarning, match="data was prepared anew, moved or deleted") as warned:
        train_command.main(["--config", str(tmp_path / "run.toml"), "--run", str(run.folder)])
    assert sum(each.category is TrainingWarning for each in warned) == 1
    assert not changes
    expect_same(run, undisturbed, atol=1e-6)
    assert run.calibration_file.is_file()
    assert run.litert_file.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_and_started_again_equals_undisturbed(config, undisturbed, tmp_path, capsys):
    run = Run(tmp_path / "run")
    save_config(config, tmp_path / "run.toml")
    with python_processes() as start:
        process = start(SCRIPT, "--config", tmp_path / "run.toml", "--run", run.folder)
        while not process.stdout.readline().startswith("epoch   2/5"):
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGKILL)
    assert run.checkpoint_file.is_file()
    train(config, run.folder)
    assert f"{run.folder}: goes on after epoch" in capsys.readouterr().out
    expect_same(run, undisturbed, atol=1e-6)
    assert not run.checkpoint_file.exists()
    # Also where the kill came between the first model and the checkpoint of its epoch.
    run = Run(shutil.copytree(undisturbed.folder.with_name("killed after 0"), tmp_path / "first"))
    assert not run.model_file.exists()
    shutil.copy(undisturbed.folder.with_name("killed after 1") / run.model_file.name, run.folder)
    expect_same(train(config, run.folder).run, undisturbed, atol=1e-6)
    assert f"{run.folder}: goes on after epoch 0" in capsys.readouterr().out
    assert not run.checkpoint_file.exists()


def test_ctrl_c_can_be_gone_on_from(config, undisturbed, stopped, monkeypatch):
    """On a machine that would choose another precision; what was made of the model so far goes.

    Else classifying and evaluating would use different models.
    """
    with np.load(stopped.checkpoint_file) as kept:
        assert json.loads(str(kept["arr_0"]))["epoch"] == 2, "the last one that was whole"
    assert (stopped.report / "curves.png").is_file()
    made = [stopped.litert_file, stopped.calibration_file, stopped.metrics_file]
    made += [stopped.report / "index.html", stopped.bundle_file]
    made.append(stopped.folder / "checkpoint.npz.0123abcd.tmp")  # of a kill
    (stopped.exports / "onnx").mkdir(parents=True)
    for file in made:
        file.write_text("of epoch 2")
    monkeypatch.setattr(guards, "faster_precision", lambda: ("mixed_bfloat16", "here"))
    opened = train(changed(config, {"train.precision": "auto"}), stopped.folder)
    expect_same(opened.run, undisturbed, atol=1e-6)
    assert stopped.config().train.precision == "float32"
    assert not any(file.exists() for file in made)
    assert not stopped.exports.exists()
    assert (stopped.report / "curves.png").is_file()


def test_a_training_on_recordings_can_be_gone_on_from(recording_config, tmp_path, capsys):
    """With windows cut at random, rare classes more often, mixing, and two stages."""
    values = {
        "clip.num_frames": 8,
        "clip.shrink": 2,
        "augment.mixup.strength": 0.2,
        "model.task": "frames-multilabel",
        "model.dropout": 0.2,
        "temporal.units": 4,
        "temporal.stages": 2,
        "temporal.dropout": 0.2,
        "train.balanced": True,
    }
    config = changed(recording_config, values)
    whole = train_with_copy(config, tmp_path, 1)
    assert " classes right 0." in capsys.readouterr().out
    expect_same(train(config, tmp_path / "killed after 1").run, whole, atol=1e-6)


def test_what_ends_early_while_ctrl_c_is_pressed_has_ended(tiny_config, tmp_path, monkeypatch):
    def press_and_end(self, number, logs=None):
        self.model.stop_training = True
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Alarms, "on_epoch_end", press_and_end)
        with pytest.raises(Interrupted):
            train(tiny_config, tmp_path / "run")
    run = train(tiny_config, tmp_path / "run").run
    assert len(run.history()) == 1 < tiny_config.train.epochs
    assert not run.checkpoint_file.exists()


def test_a_training_that_ended_unexported_is_left_to_be_exported(
    config, undisturbed, tmp_path, capsys
):
    """Also one that was killed between the model and what is written beside it.

    Calibrating and exporting look for its data set where its configuration says it is now.
    """
    run = Run(shutil.copytree(undisturbed.folder, tmp_path / "run"))
    for name in ("model.tflite", ""):
        before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
        assert train(config, run.folder).run == run
        assert capsys.readouterr().out == f"{run.folder}: is trained already\n"
        assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before
        with pytest.raises(ConfigError, match="holds an unfinished training with another seed"):
            train(changed(config, {"seed": 7}), run.folder)
        (run.folder / (name or "bundle.json")).touch()
    with pytest.raises(ConfigError, match="exists. Name another"):
        train(config, run.folder)
    (run.folder / "bundle.json").unlink()
    moved = {"data": str(shutil.copytree(config.data, tmp_path / "moved"))}
    train(changed(config, moved), run.folder)
    assert run.config() == changed(undisturbed.config(), moved)


def test_killed_while_the_folder_is_made(config, tmp_path, monkeypatch):
    """There is no half a folder, which no command would take for that of a run."""
    run = Run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "_environment", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_folder.start(run, *resolve(config))
    assert not run.folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".new-run"]
    run_folder.start(run, *resolve(config))
    assert run.config().data == config.data
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_nobody_else_trains_in_the_folder_meanwhile(config, tmp_path, hold):
    hold(tmp_path / "run")
    with pytest.raises(ConfigError, match="another process is training or testing .*run"):
        train(config, tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run").exists()


def test_another_training_does_not_go_on_from_it_nor_one_from_what_is_damaged(
    config, tiny_config, stopped
):
    other = changed(config, {"seed": 7})
    with pytest.raises(ConfigError, match=r"holds an unfinished training with another seed\."):
        train(other, stopped.folder)
    with pytest.raises(ConfigError, match="with another split.val_folds, data"):
        train(changed(config, {"split.val_folds": 3}), stopped.folder)
    assert stopped.checkpoint_file.is_file()
    data = stopped.checkpoint_file.read_bytes()
    with np.load(stopped.checkpoint_file) as content:
        _, *arrays = content.values()
    stateless = io.BytesIO()
    np.savez(stateless, "{}", *arrays)
    for damaged in (data[: len(data) // 2], stateless.getvalue()):
        stopped.checkpoint_file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"checkpoint.npz: damaged.* Train anew: --overwrite"):
            train(config, stopped.folder)
    train(changed(tiny_config, {"train.epochs": 1}), stopped.folder, overwrite=True)
    assert not stopped.checkpoint_file.exists()
