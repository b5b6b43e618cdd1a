"""Training: a configuration becomes a run folder with a model."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.config.file import as_flat, save_config, with_values
from pipeline.dataset.clip_batches import (
    batches_to_fit,
    chance,
    shared_validation,
    size_of_batch,
    steps_per_epoch,
)
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.dataset.videos import damage_named, resolve
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.models.recognizer import build_recognizer, float32_twin
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training.callbacks import EpochLog, KeepBest, TimeLimit, cut_history, plot_history
from pipeline.training.checkpoint import BEGINNING, Checkpoint, Progress, State, restore
from pipeline.training.cluster import Cluster, alone, lost_workers_named
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
from pipeline.training.optimizer import WeightAverage, compile_model
from pipeline.training.run_folder import (
    OpenedRun,
    bring_back,
    check_free,
    discard_findings,
    is_finished,
    is_trained,
    is_unfinished,
    note_end,
    old_run_kept,
    opened_run,
    own_folder,
    start,
)
from pipeline.training.trainer import Trainer, ctrl_c_between_steps


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


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Training:
    """What is to be trained, where and by whom; nothing of it changes once it has begun.

    Attributes:
        run: Its folder.
        data: The videos.
        config: The configuration, which has what the data set and the machine tell.
        cluster: The machines, and the place of this one among them.
        goes_on: Whether it goes on after the epochs of a checkpoint.
        limit: Ends it early.
    """

    run: Run
    data: PreparedDataset
    config: RunConfig
    cluster: Cluster
    goes_on: bool = False
    limit: TimeLimit | None = None


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
    with _resolved(config, run, cluster) as asked:
        with run.alone("name another folder (--run)"):
            begun = _begun(dataclasses.replace(asked, limit=limit), overwrite=overwrite)
            opened = _train_first(begun, preflight=preflight)
        cluster.leave()
    return opened


def help_train(config: RunConfig, folder: Path, cluster: Cluster) -> None:
    """Trains together with the first of several machines, which calls `train`, and writes nothing.

    Raises: See `train`.
    """
    with _resolved(config, Run(own_folder(folder)), cluster) as asked:
        if agreed := _agreed(asked):
            _check_memory(agreed)
            _train(agreed)
        cluster.leave()


@contextlib.contextmanager
def _resolved(config: RunConfig, run: Run, cluster: Cluster) -> Iterator[_Training]:
    """What is asked for, with what the data set tells; within it, errors are told."""
    if not config.data:
        raise ConfigError("which data set? Name its folder: --data data/NAME")
    data, config = resolve(config)
    data.manifest.check_classes()
    config.check_classes(data.class_names)
    check_run(data, config, cluster)
    with (
        damage_named(),
        enough_memory(config),
        lost_workers_named(cluster.addresses, cluster.index),
    ):
        yield _Training(run=run, data=data, config=config, cluster=cluster)


def _begun(asked: _Training, *, overwrite: bool) -> _Training:
    """What is asked for, as the folder has it where it goes on; with the precision of the machine.

    Raises:
        ConfigError: The folder holds another run, or memory is too small.
    """
    run, config = asked.run, asked.config
    bring_back(run)
    goes_on = not overwrite and is_unfinished(run, config, asked.data.fingerprint)
    if not goes_on:
        check_free(run, overwrite=overwrite)
    config = decide_precision(config, run.config_file if goes_on else None)
    training = dataclasses.replace(asked, config=config, goes_on=goes_on)
    _check_memory(training)
    if goes_on and run.config().data != config.data:  # the data set was moved
        save_config(config, run.config_file)
    return training


def _check_memory(training: _Training) -> None:
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    num_clips = size_of_batch(training.data, training.config)
    share = training.cluster.share_of_machine
    check_memory(training.config, num_clips, on_gpu=on_gpu, share=share)


def _agreed(training: _Training) -> _Training | None:
    """The same as the first worker has it; None: it trains nothing.

    Raises:
        DataError: This worker has other videos than the first one.
    """
    config, data = training.config, training.data
    mine = {"config": as_flat(config), "data": data.fingerprint, "goes_on": training.goes_on}
    found = training.cluster.agree(mine)
    if not found:
        return None
    if found["data"] != data.fingerprint:
        raise DataError(
            f"{config.data}: other videos than those of the first worker, which train together "
            "here. Name the same data set for all"
        )
    config = with_values(config, {**found["config"], "data": config.data}, "the first worker")
    return dataclasses.replace(training, config=config, goes_on=found["goes_on"])


def _train_first(training: _Training, *, preflight: bool) -> OpenedRun:
    """Trains as the worker that writes; what was in the folder is brought back without a model."""
    run, data, config = training.run, training.data, training.config
    if training.goes_on and is_trained(run):
        print(f"{run.folder}: is trained already")
        training.cluster.agree(None)
        return opened_run(run, data)
    _agreed(training)
    warn_of_few_groups(data.manifest.rows)
    if preflight and not training.goes_on:
        print(f"preflight: one batch learned by heart in {overfit_one_batch(data, config)} steps")
    try:
        with contextlib.nullcontext() if training.goes_on else old_run_kept(run):
            return _ended(training, _train(training))
    finally:
        with contextlib.suppress(DataError):
            if history := run.history():  # Ctrl-C may come before the first line of it.
                title, last = task_of(config.model).metric_title, config.train.checkpoint == "last"
                plot_history(history, run.report / "curves.png", title, keeps_last=last)


def _train(training: _Training) -> KeepBest:
    """Trains to the end, whatever worker this is; returns the best model."""
    data, config, cluster = training.data, training.config, training.cluster
    keras.utils.set_random_seed(config.seed)
    with cluster.strategy.scope():
        recognizer = build_recognizer(config, len(data.class_names))
        model, videos = fitted_part(recognizer, data, config)
        metrics = compile_model(model, config, steps_per_epoch(data, config))
    trainer = Trainer(model, metrics, cluster)
    progress = _progress(training, recognizer, model)
    checkpoint = Checkpoint(training.run.checkpoint_file, progress)
    state = cluster.agree(_restored(training, progress) if cluster.is_first else None)
    epochs_done, has_stopped = progress.resume(state)
    cluster.agree_on(progress.variables())
    if has_stopped:
        return progress.best
    try:
        if isinstance(videos, FeatureVideos) and config.is_linear:
            fit_heads(recognizer, videos, config)
            note_fit(trainer, progress, videos, config, training.run)
        else:
            _fit(training, trainer, checkpoint, videos, epochs_done)
    except KeyboardInterrupt:
        best = progress.best
        if not best.epoch or not cluster.is_first:
            raise
        checkpoint.write()
        note_end(training.run)
        raise Interrupted(opened_run(training.run, data, best.kept()), best.epoch) from None
    return progress.best


def _progress(training: _Training, recognizer: keras.Model, model: keras.Model) -> Progress:
    """What changes from epoch to epoch of a training of a network, or of a part of it."""
    data, config, train = training.data, training.config, training.config.train
    # Heads that are fitted at once have no steps to average.
    momentum = 0.0 if config.is_linear else train.ema_momentum
    average = WeightAverage(model, momentum) if momentum else None
    best = KeepBest(
        training.run.model_file,
        recognizer,
        functools.partial(float32_twin, recognizer, config),
        average=average,
        patience=train.patience,
        last=train.checkpoint == "last",
    )
    return Progress(model, best, Alarms(train, chance(data, config), data), average)


def _restored(training: _Training, progress: Progress) -> State:
    """Where a training goes on; or that it begins, with a folder that is made for it."""
    run = training.run
    if not training.goes_on:
        start(run, training.data, training.config)
        return BEGINNING
    state = restore(run.checkpoint_file, progress)
    cut_history(run, state["epoch"])
    discard_findings(run)
    print(f"{run.folder}: goes on after epoch {state['epoch']}")
    return state


def _ended(training: _Training, best: KeepBest) -> OpenedRun:
    """The run whose training has ended.

    Raises:
        DivergenceError: There is no model.
    """
    run = training.run
    note_end(run)
    run.checkpoint_file.unlink(missing_ok=True)
    if not best.epoch:
        raise DivergenceError(
            f"{run.folder}: no model to keep, the loss never was a number. "
            f"Lower train.learning_rate, which is {training.config.train.learning_rate:g}"
        )
    return opened_run(run, training.data, best.kept())


def _fit(
    training: _Training,
    trainer: Trainer,
    checkpoint: Checkpoint,
    videos: PreparedDataset,
    epochs_done: int,
) -> None:
    """Trains epoch by epoch."""
    config, is_first = training.config, training.cluster.is_first
    steps, has_validation = steps_per_epoch(videos, config), "val" in videos.num_videos
    with ctrl_c_between_steps() as ctrl_c:
        if not epochs_done and is_first:
            print(_what_is_kept(config, has_validation=has_validation))
        trainer.fit(
            functools.partial(batches_to_fit, videos, config, first_step=epochs_done * steps),
            functools.partial(shared_validation, videos, config) if has_validation else None,
            epochs=range(epochs_done, config.train.epochs),
            steps=steps,
            callbacks=_callbacks(training, checkpoint),
            ctrl_c=ctrl_c,
        )


def _what_is_kept(config: RunConfig, *, has_validation: bool) -> str:
    if not has_validation:
        return "no validation videos: all epochs are run, and the model of the last one is kept"
    if config.train.checkpoint == "last":
        return "all epochs are run, and the model of the last one is kept"
    return "* marks an epoch with the lowest validation loss so far; the last one is kept"


def _callbacks(training: _Training, checkpoint: Checkpoint) -> list[keras.callbacks.Callback]:
    """In the order in which they are called: the checkpoint holds what the others found."""
    run, config, progress = training.run, training.config, checkpoint.progress
    callbacks = [progress.average, progress.best] if progress.average else [progress.best]
    callbacks += [training.limit] if training.limit else []
    if not training.cluster.is_first:
        return callbacks
    title = task_of(config.model).metric_title
    log = EpochLog(run.history_file, config.train.epochs, progress.best, title)
    callbacks += [log, progress.alarms]
    if config.train.tensorboard:
        folder = str(run.folder / "tensorboard")
        callbacks.append(keras.callbacks.TensorBoard(folder, write_graph=False))
    return [*callbacks, checkpoint]
