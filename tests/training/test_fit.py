"""Training for real: what lies in the folder of a run, what is kept, what is learned."""

import dataclasses
import datetime
import json
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
from pipeline.config import RunConfig
from pipeline.config.file import save_config
from pipeline.dataset import clip_batches
from pipeline.dataset.clip_batches import evaluation_batches, steps_per_epoch
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.evaluation.predict import predict
from pipeline.inference.export import export
from pipeline.models.recognizer import build_recognizer, load_recognizer
from pipeline.run import Run
from pipeline.training import fit, guards
from pipeline.training.callbacks import KeepBest, OutOfTimeError, TimeLimit
from pipeline.training.fit import train
from pipeline.training.guards import Alarms, TrainingWarning
from pipeline.training.optimizer import compile_model
from pipeline.training.run_folder import open_run
from tests.runs import changed


def validation_loss(run, store):
    config, model = run.config(), load_recognizer(run.model_file)
    compile_model(model, config, steps_per_epoch(store, config))
    batches = evaluation_batches(store, config, "val").map(lambda x, y: (x, tf.one_hot(y, 2)))
    return model.evaluate(batches, verbose=0)[0]


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_training_stops_early_and_its_folder_describes_it(tiny_config, tiny_store, tmp_path):
    config = changed(
        tiny_config, {"train.epochs": 100, "train.learning_rate": 0.1, "train.patience": 2}
    )
    run = train(config, tmp_path / "run").run
    rows = run.history()
    losses = [row["val_loss"] for row in rows]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + config.train.patience < config.train.epochs
    assert validation_loss(run, tiny_store) == pytest.approx(min(losses), rel=1e-4)
    assert validation_loss(run, tiny_store) != pytest.approx(losses[-1], rel=1e-3)
    written = {"class_names.json", "config.toml", "environment.json", "history.csv", "model.keras"}
    assert names_in(run.folder) == {*written, "report"}
    opened = dataclasses.replace(config, frames=tiny_store.frames)
    assert run.config() == changed(opened, {"model.task": "video"})
    assert run.class_names() == ["left", "right"]
    environment = json.loads(run.environment_file.read_text())
    assert environment["command"] == sys.argv
    assert environment["packages"]["keras"] == keras.__version__
    ended = datetime.datetime.fromisoformat(environment["ended"])
    assert ended.timestamp() >= run.history_file.stat().st_mtime
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    figures = ["accuracy", "loss", "top_class_share"]
    names = ["epoch", "seconds", "learning_rate", *figures, *(f"val_{name}" for name in figures)]
    assert list(rows[0]) == names
    assert matplotlib.image.imread(run.report / "curves.png").ndim == 3
    # Class weights make each class count the same: two videos of one and six of the other.
    rows = tiny_store.manifest.rows
    few = sorted({row.group for row in rows if row.split != "test"})[:2]

    def split_of(row):
        is_shown = row.label == "right" or row.group in few
        return "train" if is_shown and row.split != "test" else "test"

    others = tuple(dataclasses.replace(row, split=split_of(row)) for row in rows)
    uneven = tiny_store.with_rows(others)
    assert uneven.num_videos["train"] == 8
    config = changed(tiny_config, {"train.class_weights": True})
    batches = clip_batches.batches_to_fit(uneven, config)
    epoch = batches.take(steps_per_epoch(uneven, config))
    total = sum(weights.numpy() @ targets.numpy() for _, targets, weights in epoch)
    np.testing.assert_allclose(total, [4, 4], rtol=1e-5)


def test_the_rate_rises_and_falls_and_the_order_of_frames_is_learned(
    blob_run, blob_config, blob_store
):
    """It is lost when time runs backwards."""
    rates = [row["learning_rate"] for row in blob_run.history()]
    peak = rates.index(max(rates))
    assert rates[peak] <= blob_config.train.learning_rate
    assert rates[0] > rates[-1] == pytest.approx(0, abs=1e-7)
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    model, config = load_recognizer(blob_run.model_file), blob_run.config()

    def accuracy(order):
        videos = predict(model, blob_store, config, "test", order=order).by_video()
        return np.mean(videos.logits.argmax(axis=1) == videos.targets)

    assert accuracy("in_order") >= 0.9
    assert accuracy("reversed") <= 0.1
    assert 0.2 <= accuracy("shuffled") <= 0.8


def test_without_validation_all_epochs_run_and_an_old_run_is_replaced(tiny_config, tmp_path):
    """Where its folder is a link to one, it stays one."""
    folder, link = tmp_path / "real", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    for name in ("config.toml", "class_names.json", "environment.json", "model.keras"):
        (folder / name).write_text("old")
    values = {"split.train_on_val": True, "train.epochs": 3, "train.patience": 1}
    config = changed(tiny_config, values)
    train(config, link, overwrite=True)
    run = Run(folder)
    rows = run.history()
    assert len(rows) == 3
    assert not any(name.startswith("val_") for name in rows[0])
    assert load_recognizer(run.model_file).output_shape == (None, 2)
    assert run.config().split == config.split
    assert names_in(tmp_path) == {"link", "real"}
    assert link.is_symlink()


def test_half_precision_is_for_training_alone(tiny_config, tmp_path):
    """TensorBoard gets the losses of each epoch."""
    config = changed(tiny_config, {"train.precision": "mixed_bfloat16", "train.tensorboard": True})
    model = build_recognizer(changed(config, {"frames.size": 16}), 2)
    compute = "difference_features"
    assert model.get_layer(compute).compute_dtype == "bfloat16"
    assert model.get_layer("difference_temporal").compute_dtype == "float32"
    assert {weight.dtype for weight in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    run = train(config, tmp_path / "run").run
    assert load_recognizer(run.model_file).get_layer(compute).compute_dtype == "float32"
    assert export(open_run(run)).difference < 1e-4
    for split in ("train", "validation"):
        (file,) = (run.folder / "tensorboard" / split).glob("events.*")
        tags = {
            (value.tag, event.step)
            for event in tf.compat.v1.train.summary_iterator(str(file))
            for value in event.summary.value
        }
        assert {("epoch_loss", 0), ("epoch_loss", 1), ("epoch_accuracy", 1)} <= tags, split


def test_a_folder_that_is_no_run_is_refused(tiny_config, tmp_path, monkeypatch):
    for name in ("config.toml", "notes.txt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        train(tiny_config, tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match=r"is a file. Name a folder"):
        train(tiny_config, tmp_path / "notes.txt")
    assert names_in(tmp_path) == {"config.toml", "notes.txt"}
    monkeypatch.chdir(tmp_path)
    for folder in (Path(), tmp_path, Path("..")):
        with pytest.raises(ConfigError, match="--run: expected a folder of its own"):
            train(tiny_config, folder)


def test_a_trained_run_is_replaced_only_when_told(hasty_run, tmp_path):
    """Also one that was set aside when all was killed: it comes back."""
    shutil.copytree(hasty_run.folder, tmp_path / ".old-run")
    Run(tmp_path / "run").report.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"exists. Name another \(--run\) or replace it"):
        train(hasty_run.config(), tmp_path / "run")
    with pytest.raises(ConfigError, match="exists. Name another"):  # before videos are prepared
        train(changed(hasty_run.config(), {"data": "gone"}), tmp_path / "run")
    before = hasty_run.model_file.read_bytes()
    assert Run(tmp_path / "run").model_file.read_bytes() == before


def test_what_cannot_be_trained_is_refused_before_anything(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.chdir(tmp_path)
    for key, value, error, message in (
        ("data", "", ConfigError, "--data data/NAME"),
        ("data", "none", DataError, "not a prepared data set"),
        ("model.streams", ("rgb", "pose"), DataError, "needs key points, .*Prepare it with --pose"),
        ("evaluate.order_pairs", (("left", "up"),), ConfigError, "order_pairs must name classes"),
        (
            "train.gradient_accumulation_steps",
            100,
            ConfigError,
            "steps must be at most 4, .* Received: 100",
        ),
        ("train.tensorboard", True, ConfigError, r"TensorBoard: .*install -e '\.\[tensorboard\]'"),
    ):
        with pytest.raises(error, match=message):
            train(changed(tiny_config, {key: value}), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_model_that_no_memory_holds_and_a_class_called_as_what_is_none_of_them(
    tiny_config, tmp_path, monkeypatch, tiny_store
):
    def build(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "of so many bytes")

    monkeypatch.setattr(fit, "build_recognizer", build)
    with pytest.raises(
        PipelineError,
        match=r"out of memory .*: try --train.batch_size 2 --train.gradient_accumulation_steps 2",
    ):
        train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    rows = (
        dataclasses.replace(row, label="unknown") if row.label == "left" else row
        for row in tiny_store.manifest.rows
    )
    store = tiny_store.with_rows(tuple(rows))
    monkeypatch.setattr("pipeline.dataset.videos.open_data", lambda *_, **__: store)
    with pytest.raises(DataError, match="expected no class 'unknown'"):
        train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_says_so(tiny_config, tmp_path):
    values = {"train.epochs": 1, "train.learning_rate": 1e30, "train.warmup": 0}
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.toml", "class_names.json", "environment.json", "model.keras"):
        (folder / name).write_text("old")
    with (
        pytest.warns(TrainingWarning, match=r"epoch 1: .* --train.learning_rate 1e\+29"),
        pytest.raises(PipelineError, match=r"Lower train.learning_rate, which is 1e\+30"),
    ):
        train(changed(tiny_config, values), folder, overwrite=True)
    assert (folder / "model.keras").read_text() == "old"
    assert names_in(tmp_path) == {"run"}


def test_a_batch_must_be_learned_by_heart_whatever_holds_it_back(
    tiny_config, tiny_store, tmp_path, monkeypatch
):
    """Its answers may change from frame to frame."""
    values = {"model.dropout": 0.9, "model.l2": 1.0, "train.label_smoothing": 0.5}
    config = changed(
        tiny_config, {**values, "train.gradient_accumulation_steps": 4, "frames.size": 16}
    )
    assert guards.overfit_one_batch(tiny_store, config) < guards.MOST_STEPS
    assert guards._without_regularisation(RunConfig()).train.transition_penalty == 0
    monkeypatch.setattr(guards, "MOST_STEPS", 5)
    config = changed(tiny_config, {"train.learning_rate": 1e-9})
    with pytest.raises(PipelineError, match=r"after 5 steps .* train.learning_rate \(1e-09\)"):
        train(config, tmp_path / "run", preflight=True)
    assert not (tmp_path / "run").exists()


def test_ctrl_c_keeps_the_best_model_and_exports_it(tiny_config, tmp_path, monkeypatch, capsys):
    def press(self, number, logs=None):
        if number == 1:
            signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path / "run")
    save_config(changed(tiny_config, {"train.epochs": 1000}), tmp_path / "config.toml")
    monkeypatch.setattr(Alarms, "on_epoch_begin", press)
    words = ["--config", str(tmp_path / "config.toml"), "--run", str(run.folder), "--overwrite"]
    assert train_command.main(words) == 130
    first, epoch, *_, interrupted, exported, _, following = capsys.readouterr().out.splitlines()
    assert first.startswith("* marks an epoch with the lowest")
    assert epoch.startswith("epoch   1/1000")
    losses = [row["val_loss"] for row in run.history()]
    best = losses.index(min(losses)) + 1
    assert interrupted.startswith(f"interrupted; the model of epoch {best} is kept. The same com")
    assert interrupted.endswith(f"--run {run.folder} and without --overwrite goes on")
    assert exported.startswith(f"{run.litert_file}: ")
    assert following == f"next: clipline evaluate {run.folder}"
    assert run.model_file.is_file()
    assert run.litert_file.is_file()
    assert not list(run.folder.glob(".partial*"))


def test_ctrl_c_within_the_first_epoch_ends_the_call(tiny_config, tmp_path, monkeypatch, capsys):
    def press(callback, step, logs=None):
        if step == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(KeepBest, "on_train_batch_begin", press)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config, tmp_path / "run")
    out = capsys.readouterr().out
    assert out == "* marks an epoch with the lowest validation loss so far; the last one is kept\n"


def test_ctrl_c_before_the_export_says_how_it_goes_on(tmp_path, monkeypatch, capsys):
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
    monkeypatch.setattr("pipeline.training.fit.train", lambda *_, **__: Run(Path("my run")))
    monkeypatch.setattr("pipeline.evaluation.calibrate.calibrate", press)
    with pytest.raises(KeyboardInterrupt):
        train_command.main(["--config", "small", "--data", "data/any", "--run", "my run"])
    said = "my run is trained, but was not exported. The same command with --run 'my run' goes on\n"
    assert capsys.readouterr().out == said
    assert got_in == [False], "nobody else trains in the folder until it is exported"


def test_a_training_that_is_out_of_time_is_given_up_or_keeps_what_it_has(tiny_config, tmp_path):
    config = changed(tiny_config, {"train.epochs": 50})
    with pytest.raises(OutOfTimeError, match="no time to end"):
        train(config, tmp_path / "given up", limit=TimeLimit(0, keeps=False))
    # One that ends within its last epoch has ended.
    late = TimeLimit(0, keeps=False)
    late.set_params({"epochs": 3})
    late.on_epoch_end(2)
    with pytest.raises(OutOfTimeError):
        late.on_epoch_end(1)
    opened = train(config, tmp_path / "kept", limit=TimeLimit(0, keeps=True))
    assert len(opened.run.history()) == 1
    assert opened.run.model_file.is_file()
