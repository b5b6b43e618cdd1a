"""Training for real: what lies in the folder of a run, what is kept, what is learned."""

import csv
import dataclasses
import datetime
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf

from pipeline.cli import train as train_command
from pipeline.config import EvaluateConfig
from pipeline.dataset.clip_batches import evaluation_batches, steps_per_epoch
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.evaluation.evaluate import predict
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.training import fit
from pipeline.training.alarms import TrainingWarning
from pipeline.training.callbacks import KeepBest
from pipeline.training.fit import train
from pipeline.training.optimizer import compile_model
from tests.processes import python_processes

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"


def configured(config, **changes):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **changes))


def history(run):
    with run.history_file.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def validation_loss(run, store):
    config, model = run.config(), load_recognizer(run.model_file)
    compile_model(model, config, steps_per_epoch(config, store))
    batches = evaluation_batches(store, config, "val").map(lambda x, y: (x, tf.one_hot(y, 2)))
    return model.evaluate(batches, verbose=0)[0]


# What a run leaves behind.


def test_the_folder_of_a_run_describes_itself(blob_run, blob_config, blob_store):
    assert {path.name for path in blob_run.folder.iterdir()} == {
        "bundle.json",
        "class_names.json",
        "config.toml",
        "environment.json",
        "history.csv",
        "model.keras",
        "model.tflite",
        "report",
    }
    model = dataclasses.replace(blob_config.model, task="video")
    as_opened = dataclasses.replace(blob_config, frames=blob_store.frames, model=model)
    assert blob_run.config() == as_opened
    assert blob_run.class_names() == ["left", "right"]
    environment = json.loads(blob_run.environment_file.read_text())
    assert environment["command"] == sys.argv
    assert environment["packages"]["keras"] == keras.__version__
    ended = datetime.datetime.fromisoformat(environment["ended"])
    assert ended.timestamp() >= blob_run.history_file.stat().st_mtime
    rows = history(blob_run)
    assert [row["epoch"] for row in rows] == list(range(1, blob_config.train.epochs + 1))
    figures = ["accuracy", "loss", "top_class_share"]
    names = ["epoch", "seconds", "learning_rate", *figures, *(f"val_{name}" for name in figures)]
    assert list(rows[0]) == names
    assert matplotlib.image.imread(blob_run.report / "curves.png").ndim == 3


def test_the_learning_rate_rises_and_falls(blob_run, blob_config):
    rates = [row["learning_rate"] for row in history(blob_run)]
    peak = rates.index(max(rates))
    assert rates[peak] <= blob_config.train.learning_rate
    assert rates[0] > rates[-1] == pytest.approx(0, abs=1e-7)
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_training_stops_early_and_the_best_epoch_is_on_disk(blob_config, blob_store, tmp_path):
    config = configured(blob_config, epochs=100, learning_rate=0.1, patience=2)

    run = train(config, tmp_path / "run")

    losses = [row["val_loss"] for row in history(run)]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + config.train.patience < config.train.epochs
    assert validation_loss(run, blob_store) == pytest.approx(min(losses), rel=1e-4)
    assert validation_loss(run, blob_store) != pytest.approx(losses[-1], rel=1e-3)


def test_without_validation_all_epochs_run_and_an_old_run_is_replaced(
    blob_config, store_without_validation, tmp_path
):
    config = dataclasses.replace(blob_config, data=str(store_without_validation.path))
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.toml", "class_names.json", "environment.json", "model.keras"):
        (folder / name).write_text("old")

    run = train(configured(config, epochs=3, patience=1), folder, overwrite=True)

    rows = history(run)
    assert len(rows) == 3
    assert not any(name.startswith("val_") for name in rows[0])
    assert load_recognizer(run.model_file).output_shape == (None, 2)
    assert run.config().data == config.data
    assert not [path for path in tmp_path.iterdir() if path != folder]
    assert run.config_file.read_text() != "old"


def test_the_seed_decides_the_training(hasty_run, tmp_path):
    again = train(hasty_run.config(), tmp_path / "run")
    assert history(again)[0]["loss"] == pytest.approx(history(hasty_run)[0]["loss"], rel=1e-4)


# Mistakes.


def test_a_folder_that_is_no_run_is_refused(blob_config, tmp_path):
    for name in ("config.toml", "notes.txt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        train(blob_config, tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match=r"is a file. Name a folder"):
        train(blob_config, tmp_path / "notes.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "notes.txt"]


def test_a_trained_run_is_replaced_only_when_told(hasty_run):
    before = hasty_run.model_file.read_bytes()
    with pytest.raises(ConfigError, match=r"exists. Name another \(--run\) or replace it"):
        train(hasty_run.config(), hasty_run.folder)
    assert hasty_run.model_file.read_bytes() == before


def test_a_data_set_must_be_named_and_there(blob_config, tmp_path):
    with pytest.raises(ConfigError, match="--data data/NAME"):
        train(dataclasses.replace(blob_config, data=""), tmp_path / "run")
    with pytest.raises(DataError, match="not a prepared data set"):
        train(dataclasses.replace(blob_config, data=str(tmp_path / "none")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_flow_that_was_not_prepared_is_asked_for(blob_config, tmp_path):
    model = dataclasses.replace(blob_config.model, streams=("rgb", "flow"))
    with pytest.raises(DataError, match="needs optical flow, .*Prepare it with --flow"):
        train(dataclasses.replace(blob_config, model=model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_current_folder_is_none_for_a_run(blob_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (Path(), tmp_path, Path("..")):
        with pytest.raises(ConfigError, match="--run: expected a folder of its own"):
            train(blob_config, folder)


def test_a_run_that_was_set_aside_when_all_was_killed_comes_back(hasty_run, tmp_path):
    shutil.copytree(hasty_run.folder, tmp_path / ".old-run")
    Run(tmp_path / "run").report.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"exists. Name another \(--run\) or replace it"):
        train(hasty_run.config(), tmp_path / "run")
    before = hasty_run.model_file.read_bytes()
    assert Run(tmp_path / "run").model_file.read_bytes() == before


def test_a_link_to_a_run_stays_one(blob_config, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    train(configured(blob_config, epochs=1), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Run(tmp_path / "real").model_file.is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_order_pairs_are_checked_before_training(blob_config, tmp_path):
    config = dataclasses.replace(
        blob_config, evaluate=EvaluateConfig(order_pairs=(("left", "up"),))
    )
    with pytest.raises(ConfigError, match="evaluate.order_pairs must name classes"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_class_has_the_name_of_what_is_none_of_them(
    blob_config, blob_store, tmp_path, monkeypatch
):
    rows = (
        dataclasses.replace(row, label="unknown") if row.label == "left" else row
        for row in blob_store.manifest.rows
    )
    store = blob_store.with_rows(tuple(rows))
    monkeypatch.setattr("pipeline.dataset.videos.open_data", lambda *_, **__: store)
    with pytest.raises(DataError, match="expected no class 'unknown'"):
        train(blob_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_that_no_memory_holds(blob_config, tmp_path, monkeypatch):
    def build(*_):
        return tf.zeros((2**20, 2**20, 2**10))

    monkeypatch.setattr(fit, "build_recognizer", build)
    with pytest.raises(
        PipelineError, match=r"out of memory .*: try --train.batch_size 4 --train.accumulate 2"
    ):
        train(blob_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_no_memory_holds_is_refused_before_anything_is_done(blob_config, tmp_path):
    with pytest.raises(ConfigError, match="train.batch_size 1000000 clips .* takes at least"):
        train(configured(blob_config, batch_size=1_000_000), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_says_so(blob_config, tmp_path):
    config = configured(blob_config, epochs=1, learning_rate=1e30, warmup=0)
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.toml", "class_names.json", "environment.json", "model.keras"):
        (folder / name).write_text("old")
    with (
        pytest.warns(TrainingWarning, match=r"epoch 1: .* --train.learning_rate 1e\+29"),
        pytest.raises(PipelineError, match=r"Lower train.learning_rate, which is 1e\+30"),
    ):
        train(config, folder, overwrite=True)
    assert (folder / "model.keras").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# Learning.


def accuracy(run, store, order):
    model, config = load_recognizer(run.model_file), run.config()
    predictions = predict(model, store, config, "test", order=order)
    return np.mean(predictions.video_logits.argmax(axis=1) == predictions.labels)


def test_the_order_of_frames_is_learned_and_lost_when_time_runs_backwards(blob_run, blob_store):
    assert accuracy(blob_run, blob_store, "in_order") >= 0.9
    assert accuracy(blob_run, blob_store, "reversed") <= 0.1
    assert 0.2 <= accuracy(blob_run, blob_store, "shuffled") <= 0.8


def test_after_one_epoch_inference_agrees_with_training(hasty_run, blob_store):
    """Moving statistics that still remember where they started would predict one class."""
    model = load_recognizer(hasty_run.model_file)
    config = configured(hasty_run.config(), batch_size=blob_store.num_videos["train"])
    ((inputs, labels),) = evaluation_batches(blob_store, config, "train")

    def right(training):
        return np.mean(np.argmax(model(inputs, training=training), axis=1) == labels)

    inference = right(training=False)  # first: training moves the statistics
    training = right(training=True)
    assert training >= 0.8
    # One class for all would be 0.5; 5 of the 48 may well come out differently.
    assert inference == pytest.approx(training, abs=0.2)


# Ctrl-C, in a process of its own.


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_keeps_the_best_model_and_exports_it(blob_store, tmp_path):
    options = ["--config", "small", "--data", blob_store.path, "--run", tmp_path / "run"]
    options += ["--train.epochs", "1000", "--train.patience", "0", "--train.precision", "float32"]
    options += ["--clip.num_frames", "8", "--backbone.filters", "[4]", "--temporal.units", "4"]
    with python_processes() as start:
        process = start(SCRIPT, *options, "--overwrite")
        assert process.stdout.readline().startswith("* marks an epoch with the lowest")
        assert process.stdout.readline().startswith("epoch   1/1000")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)

    assert (process.returncode, errors) == (130, "")
    interrupted, exported, _, following = output.splitlines()[-4:]
    run = Run(tmp_path / "run")
    losses = [row["val_loss"] for row in history(run)]
    best = losses.index(min(losses)) + 1
    assert interrupted.startswith(f"interrupted; the model of epoch {best} is kept. The same com")
    assert interrupted.endswith(f"--run {run.folder} and without --overwrite goes on")
    assert exported.startswith(f"{run.litert_file}: ")
    assert following == f"next: python {SCRIPT.with_name('evaluate.py')} {run.folder}"
    assert run.model_file.is_file()
    assert run.litert_file.is_file()
    assert not list(run.folder.glob(".partial*"))


def test_ctrl_c_within_the_first_epoch_ends_the_call(blob_config, tmp_path, monkeypatch, capsys):
    def press(callback, step, logs=None):
        if step == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(KeepBest, "on_train_batch_begin", press)
    with pytest.raises(KeyboardInterrupt):
        train(blob_config, tmp_path / "run")
    out = capsys.readouterr().out
    assert out == "* marks an epoch with the lowest validation loss so far; the last one is kept\n"


def test_ctrl_c_before_the_export_says_how_it_goes_on(blob_run, tmp_path, monkeypatch, capsys):
    def press(run):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        raise KeyboardInterrupt

    def try_it():
        try:
            with Run(Path("my run")).alone():
                got_in.append(True)
        except ConfigError:
            got_in.append(False)

    got_in = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.training.fit.train", lambda *_, **__: blob_run)
    monkeypatch.setattr("pipeline.evaluation.calibrate.calibrate", press)
    main = train_command.main
    with pytest.raises(KeyboardInterrupt):
        main(["--config", "small", "--data", "data/any", "--run", "my run"])
    said = "my run is trained, but was not exported. The same command with --run 'my run' goes on\n"
    assert capsys.readouterr().out == said
    assert got_in == [False], "nobody else trains in the folder until it is exported"
