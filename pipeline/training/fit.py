"""Training: a configuration becomes a run folder with a model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.config.file import save_config
from pipeline.data.dataset import (
    Data,
    damage_named,
    evaluation_batches,
    open_data,
    training_batches,
)
from pipeline.errors import ConfigError, PipelineError
from pipeline.models.recognizer import build_recognizer
from pipeline.run import Run
from pipeline.training.callbacks import EpochLog, KeepBest
from pipeline.training.curves import plot_history
from pipeline.training.environment import describe_environment


def train(config: RunConfig, folder: Path, *, overwrite: bool = False) -> Run:
    """Trains a model on the prepared data set of a configuration.

    The best model by validation loss is kept; without validation videos, the last one. Ctrl-C
    ends the training early and keeps the best model so far; before the end of the first epoch,
    when there is none, it ends the call.

    Args:
        config: The run. `frames` is filled in from the data set.
        folder: Where the run goes.
        overwrite: Whether a trained run that is there already is replaced; one that was
            interrupted before it had a model always is.

    Returns:
        The run, with its configuration, class names, history, curves and model.

    Raises:
        ConfigError: No data set is named, or the folder holds a run already.
        DataError: The data set cannot be used.
        PipelineError: The training diverged from the first epoch on, or memory is too small.
    """
    if not config.data:
        raise ConfigError("which data set? Name its folder: --data data/NAME")
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise ConfigError(f"--run: expected a folder of its own, got {folder}. Name another")
    folder = folder.resolve() if folder.is_symlink() else folder
    store = open_data(Path(config.data), config.frames)
    config.check_classes(store.class_names)
    config = dataclasses.replace(config, frames=store.frames)
    run = Run(folder)
    _bring_back(run)
    _check_folder(run, overwrite=overwrite)
    keras.utils.set_random_seed(config.seed)
    with _old_run_kept(run), damage_named(store), _enough_memory():
        model = build_recognizer(config, len(store.class_names))
        compile_model(model, config, steps_per_epoch(config, store))
        _start(config, store, run)
        best = _fit(model, config, store, run)
        if not best.epoch:
            raise PipelineError(
                f"{folder}: no model to keep, the loss never was a number. "
                f"Lower train.learning_rate, which is {config.train.learning_rate:g}"
            )
    if run.history_file.is_file():  # Ctrl-C may come before the first line of it.
        plot_history(run.history_file, run.report / "curves.png")
    return run


def steps_per_epoch(config: RunConfig, store: Data) -> int:
    """Steps in which about every training video is seen once."""
    return max(1, round(store.num_videos["train"] / config.train.batch_size))


def compile_model(model: keras.Model, config: RunConfig, steps: int) -> None:
    """Sets loss, metric and optimiser: AdamW, the learning rate rising, then falling to 0.

    Args:
        model: The recogniser.
        config: The run.
        steps: Steps in an epoch.

    Source: AdamW and the cosine schedule, Loshchilov and Hutter (2019 and 2017).
    """
    total = steps * config.train.epochs
    warmup = round(total * config.train.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.train.learning_rate,
        decay_steps=max(1, total - warmup),
        warmup_target=config.train.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.train.weight_decay)
    # What is no weight of a layer (biases, scales of normalisation) must not shrink.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # The number of real frames varies from batch to batch; XLA would compile for each.
        jit_compile=False,
    )


def _check_folder(run: Run, *, overwrite: bool) -> None:
    folder = run.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file. Name a folder for the run (--run)")
    if not folder.exists() or not any(folder.iterdir()):
        return
    begun = (run.config_file, run.class_names_file, run.environment_file)
    if not all(file.is_file() for file in begun):
        raise ConfigError(f"{folder} is not the folder of a run. Name another (--run)")
    if run.model_file.is_file() and not overwrite:
        raise ConfigError(f"{folder} exists. Name another (--run) or replace it (--overwrite)")


@contextmanager
def _old_run_kept(run: Run) -> Iterator[None]:
    """Sets aside what is in the folder, until there is a new model in it; else brings it back."""
    if run.folder.exists():
        run.folder.rename(_old(run))
    try:
        yield
    finally:
        _bring_back(run)


def _old(run: Run) -> Path:
    return run.folder.with_name(f".old-{run.folder.name}")


def _bring_back(run: Run) -> None:
    """Puts a run that was set aside in its place again, if what was to replace it has no model."""
    if _old(run).exists() and not run.model_file.is_file():
        shutil.rmtree(run.folder, ignore_errors=True)
        _old(run).rename(run.folder)
    shutil.rmtree(_old(run), ignore_errors=True)


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise PipelineError(
            "out of memory: lower train.batch_size, clip.num_frames or temporal.units"
        ) from None


def _start(config: RunConfig, store: Data, run: Run) -> None:
    """Makes the folder and writes what is known before training."""
    run.report.mkdir(parents=True)
    save_config(config, run.config_file)
    _write_json(run.class_names_file, list(store.class_names))
    environment = {**describe_environment(), "data_fingerprint": store.fingerprint}
    _write_json(run.environment_file, environment)


def _fit(model: keras.Model, config: RunConfig, store: Data, run: Run) -> KeepBest:
    validation = None
    if "val" in store.num_videos:
        validation = evaluation_batches(store, config, "val")
    else:
        print("no validation videos: all epochs are run, and the model of the last one is kept")
    best = KeepBest(run.model_file)
    callbacks = [best, EpochLog(run.history_file, config.train.epochs, best)]
    if validation is not None and config.train.patience:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=config.train.patience))
    try:
        model.fit(
            training_batches(store, config),
            epochs=config.train.epochs,
            steps_per_epoch=steps_per_epoch(config, store),
            validation_data=validation,
            callbacks=callbacks,
            shuffle=False,  # the data set shuffles by itself
            verbose=0,
        )
    except KeyboardInterrupt:
        if not best.epoch:
            raise
        print(f"interrupted; the model of epoch {best.epoch} is kept", flush=True)
    return best


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
