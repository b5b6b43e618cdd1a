"""Training: a configuration becomes a run folder with a model."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.config.file import as_flat, save_config, with_values
from pipeline.dataset.clip_batches import (
    batches_for_training,
    chance,
    shared_validation,
    size_of_batch,
    steps_per_epoch,
)
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.dataset.videos import damage_named, open_of_run
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.models.recognizer import build_recognizer, float32_twin
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training.averaging import WeightAverage
from pipeline.training.callbacks import EpochLog, KeepBest, TimeLimit, cut_history, plot_history
from pipeline.training.checkpoint import Checkpoint, Progress, restore
from pipeline.training.cluster import Cluster, alone, lost_workers_named
from pipeline.training.ctrl_c import ctrl_c_between_steps
from pipeline.training.features import fitted_part
from pipeline.training.guards import (
    Alarms,
    check_memory,
    check_run,
    decide_precision,
    enough_memory,
    overfit_one_batch,
    warn_of_few_groups,
)
from pipeline.training.linear import fit_heads, note_fit
from pipeline.training.opened import OpenedRun, open_run
from pipeline.training.optimizer import compile_model
from pipeline.training.run_folder import (
    bring_back,
    check_free,
    discard_findings,
    is_finished,
    is_trained,
    is_unfinished,
    note_end,
    old_run_kept,
    own_folder,
    start,
)
from pipeline.training.trainer import Trainer


class DivergenceError(PipelineError):
    """A training whose loss never was a number."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after a model was kept.

    Attributes:
        opened: The run, which goes on when it is trained again.
        epoch: The epoch that the model is of, from 1.
    """

    def __init__(self, opened: OpenedRun, epoch: int) -> None:
        super().__init__()
        self.opened, self.epoch = opened, epoch


def train(
    config: RunConfig,
    folder: Path,
    *,
    overwrite: bool = False,
    preflight: bool = False,
    cluster: Cluster | None = None,
    limit: TimeLimit | None = None,
) -> OpenedRun:
    """Trains a model on the prepared data set of a configuration.

    The best model by validation loss is kept; without validation videos, the last one. A training
    that was stopped in whatever way goes on after the last epoch of its checkpoint when it is
    called again, and ends as if it had not been stopped. One that has ended, but was not exported,
    is left as it is, to be exported. Meanwhile no other process can use the folder.

    Args:
        config: The run. `frames` is filled in from the data set. Of a training that goes on, `data`
            may be where that was moved to.
        folder: Where the run goes.
        overwrite: Whether a run that is there already is replaced; one that was interrupted
            before it had a model always is.
        preflight: Whether to see first that the network can learn one batch by heart.
        cluster: The machines that train it together, of which this is the first: it decides, and
            alone writes. None: this machine, with all of its GPUs.
        limit: Ends it early.

    Returns:
        The run, with its configuration, class names, history, curves and model.

    Raises:
        ConfigError: No data set is named, or the folder holds another run already, or another
            process uses it.
        DataError: The data set cannot be used.
        DivergenceError: The training did from the first epoch on.
        OutOfTimeError: The limit came.
        PipelineError: Memory is too small, or the preflight failed.
        WorkerLostError: Another machine has ended.
        Interrupted: Ctrl-C was pressed; the best model so far is kept. Before the end of the first
            epoch, when there is none, it is a mere `KeyboardInterrupt`.
    """
    run, cluster = Run(own_folder(folder)), cluster or alone()
    if is_finished(run) and not overwrite:
        check_free(run, overwrite=False)  # before videos are prepared
    with _begun(config, cluster) as (config, data):
        with run.alone("name another folder (--run)"):
            opened = _train_first(
                config, data, run, cluster, overwrite=overwrite, preflight=preflight, limit=limit
            )
        cluster.leave()
    return opened


def help_train(config: RunConfig, folder: Path, cluster: Cluster) -> None:
    """Trains together with the first of several machines, which calls `train`, and writes nothing.

    Raises: See `train`.
    """
    run = Run(own_folder(folder))
    with _begun(config, cluster) as (config, data):
        if begun := _agree(cluster, config, data, goes_on=False):
            config, goes_on = begun
            _check_memory(config, data, cluster)
            _train(config, data, run, cluster, goes_on=goes_on)
        cluster.leave()


@contextlib.contextmanager
def _begun(config: RunConfig, cluster: Cluster) -> Iterator[tuple[RunConfig, PreparedDataset]]:
    """The configuration with what the data set tells, and that; within it, errors are told."""
    if not config.data:
        raise ConfigError("which data set? Name its folder: --data data/NAME")
    config, data = open_of_run(config)
    data.manifest.check_classes()
    config.check_classes(data.class_names)
    check_run(config, data, cluster)
    with (
        damage_named(),
        enough_memory(config),
        lost_workers_named(cluster.addresses, cluster.index),
    ):
        yield config, data


def _check_memory(config: RunConfig, data: PreparedDataset, cluster: Cluster) -> None:
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    num_clips = size_of_batch(data, config)
    check_memory(config, num_clips, on_gpu=on_gpu, share=cluster.share_of_machine)


def _train_first(
    config: RunConfig,
    data: PreparedDataset,
    run: Run,
    cluster: Cluster,
    *,
    overwrite: bool,
    preflight: bool,
    limit: TimeLimit | None,
) -> OpenedRun:
    bring_back(run)
    goes_on = not overwrite and is_unfinished(run, config, data.fingerprint)
    if not goes_on:
        check_free(run, overwrite=overwrite)
    config = decide_precision(config, run.config_file if goes_on else None)
    _check_memory(config, data, cluster)
    if goes_on and run.config().data != config.data:  # the data set was moved
        save_config(config, run.config_file)
    if goes_on and is_trained(run):
        print(f"{run.folder}: is trained already")
        cluster.agree(None)
        return open_run(run)
    _agree(cluster, config, data, goes_on=goes_on)
    warn_of_few_groups(data.manifest.rows)
    if preflight and not goes_on:
        print(f"preflight: one batch learned by heart in {overfit_one_batch(config, data)} steps")
    return _train_alone(config, data, run, cluster, goes_on=goes_on, limit=limit)


def _agree(
    cluster: Cluster, config: RunConfig, data: PreparedDataset, *, goes_on: bool
) -> tuple[RunConfig, bool] | None:
    """The configuration of the first worker, and whether its training goes on; None: it does not.

    Raises:
        DataError: This worker has other videos than the first one.
    """
    mine = as_flat(config)
    found = cluster.agree({"config": mine, "data": data.fingerprint, "goes_on": goes_on})
    if not found:
        return None
    if found["data"] != data.fingerprint:
        raise DataError(
            f"{config.data}: other videos than those of the first worker, which train together "
            "here. Name the same data set for all"
        )
    values = {**found["config"], "data": config.data}
    return with_values(config, values, "the first worker"), found["goes_on"]


def _train_alone(
    config: RunConfig,
    data: PreparedDataset,
    run: Run,
    cluster: Cluster,
    *,
    goes_on: bool,
    limit: TimeLimit | None,
) -> OpenedRun:
    try:
        with contextlib.nullcontext() if goes_on else old_run_kept(run):
            return _train(config, data, run, cluster, goes_on=goes_on, limit=limit)
    finally:
        with contextlib.suppress(DataError):
            if history := run.history():  # Ctrl-C may come before the first line of it.
                title, last = task_of(config.model).metric_title, config.train.checkpoint == "last"
                plot_history(history, run.report / "curves.png", title, keeps_last=last)


def _train(
    config: RunConfig,
    data: PreparedDataset,
    run: Run,
    cluster: Cluster,
    *,
    goes_on: bool,
    limit: TimeLimit | None = None,
) -> OpenedRun:
    keras.utils.set_random_seed(config.seed)
    with cluster.strategy.scope():
        recognizer = build_recognizer(config, len(data.class_names))
        model, videos = fitted_part(recognizer, config, data)
        metrics = compile_model(model, config, steps_per_epoch(config, data))
    trainer = Trainer(model, metrics, cluster)
    # Heads that are fitted at once have no steps to average.
    momentum = 0.0 if config.is_linear else config.train.ema_momentum
    average = WeightAverage(model, momentum) if momentum else None
    twin = functools.partial(float32_twin, recognizer, config)
    best = KeepBest(
        run.model_file,
        recognizer,
        twin,
        average=average,
        patience=config.train.patience,
        last=config.train.checkpoint == "last",
    )
    progress = Progress(model, best, Alarms(config.train, chance(data, config), data), average)
    checkpoint = Checkpoint(run.checkpoint_file, progress)
    epochs_done, has_stopped = 0, False
    if not cluster.is_first:
        pass
    elif goes_on:
        epochs_done, has_stopped = restore(run.checkpoint_file, progress)
        cut_history(run, epochs_done)
        discard_findings(run)
        print(f"{run.folder}: goes on after epoch {epochs_done}")
    else:
        start(run, config, data)
    epochs_done, has_stopped, best.epoch, best.lowest = cluster.agree(
        [epochs_done, has_stopped, best.epoch, best.lowest]
    )
    cluster.agree_on(progress.variables())
    if not has_stopped:
        try:
            if isinstance(videos, FeatureVideos) and config.is_linear:
                fit_heads(recognizer, config, videos)
                note_fit(trainer, progress, config, videos, run)
            else:
                _fit(trainer, checkpoint, config, videos, run, epochs_done=epochs_done, limit=limit)
        except KeyboardInterrupt:
            if not best.epoch or not cluster.is_first:
                raise
            checkpoint.write()
            note_end(run)
            raise Interrupted(_opened(run, data, best), best.epoch) from None
    if not cluster.is_first:
        return OpenedRun(run, config, data, recognizer)
    note_end(run)
    run.checkpoint_file.unlink(missing_ok=True)
    if not best.epoch:
        raise DivergenceError(
            f"{run.folder}: no model to keep, the loss never was a number. "
            f"Lower train.learning_rate, which is {config.train.learning_rate:g}"
        )
    return _opened(run, data, best)


def _opened(run: Run, data: PreparedDataset, best: KeepBest) -> OpenedRun:
    """The run as whoever opens it finds it; its external backbones lie in its folder."""
    return OpenedRun(run, run.config(), data, best.kept())


def _fit(
    trainer: Trainer,
    checkpoint: Checkpoint,
    config: RunConfig,
    data: PreparedDataset,
    run: Run,
    *,
    epochs_done: int,
    limit: TimeLimit | None,
) -> None:
    steps, has_validation = steps_per_epoch(config, data), "val" in data.num_videos
    is_first = trainer.cluster.is_first
    with ctrl_c_between_steps() as ctrl_c:
        if not epochs_done and is_first:
            print(
                "no validation videos: all epochs are run, and the model of the last one is kept"
                if not has_validation
                else "all epochs are run, and the model of the last one is kept"
                if config.train.checkpoint == "last"
                else "* marks an epoch with the lowest validation loss so far; the last one is kept"
            )
        trainer.fit(
            functools.partial(batches_for_training, data, config, first_step=epochs_done * steps),
            functools.partial(shared_validation, data, config) if has_validation else None,
            epochs=range(epochs_done, config.train.epochs),
            steps=steps,
            callbacks=_callbacks(checkpoint, config, run, limit, writes=is_first),
            ctrl_c=ctrl_c,
        )


def _callbacks(
    checkpoint: Checkpoint,
    config: RunConfig,
    run: Run,
    limit: TimeLimit | None,
    *,
    writes: bool,
) -> list[keras.callbacks.Callback]:
    """In the order in which they are called: the checkpoint holds what the others found."""
    progress = checkpoint.progress
    callbacks = [progress.average, progress.best] if progress.average else [progress.best]
    callbacks += [limit] if limit else []
    if not writes:
        return callbacks
    title = task_of(config.model).metric_title
    log = EpochLog(run.history_file, config.train.epochs, progress.best, title)
    callbacks += [log, progress.alarms]
    if config.train.tensorboard:
        folder = str(run.folder / "tensorboard")
        callbacks.append(keras.callbacks.TensorBoard(folder, write_graph=False))
    return [*callbacks, checkpoint]
