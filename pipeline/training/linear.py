"""Heads on statistics of stored features: fitted at once, not by epochs."""

from __future__ import annotations

import dataclasses
from typing import Literal

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import augmented_clips, batches_for_validation
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.tasks.task import task_of
from pipeline.training.callbacks import EpochLog
from pipeline.training.checkpoint import Progress
from pipeline.training.logistic import (
    Floats,
    Problem,
    choose_penalty,
    fit,
    nearest_mean,
    shortened,
)
from pipeline.training.trainer import Trainer

_MOST_CLIPS = 4
"""Of each training video, each cut and changed at random."""
_ENOUGH = 500
"""Clips in all; the time goes with their square, and more of the same videos tell little."""
_AT_ONCE = 64


def fit_heads(recognizer: keras.Model, config: RunConfig, videos: FeatureVideos) -> None:
    """Fits the standardisation and the head of each stream to the training clips.

    Each by itself: the streams are trained apart.
    """
    for stream in config.model.streams:
        part = recognizer.get_layer(f"{stream}_temporal")
        layer, head = part.get_layer("standardise"), part.get_layer("head")
        statistics = keras.Model(part.input, layer.input)
        problem = _problem(statistics, f"{stream}_features", config, videos)
        inputs = problem.inputs
        mean, variance = inputs.mean(axis=0), inputs.var(axis=0)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
        layer.steps.assign(1e6)  # so many that nothing of the start is left
        inputs -= mean
        inputs /= np.sqrt(variance + layer.epsilon)
        is_long = inputs.shape[1] > len(inputs)
        short, back = shortened(inputs) if is_long else (inputs, inputs)
        problem = dataclasses.replace(problem, inputs=short)
        kernel, bias = _fitted(problem, config.temporal.penalty, stream)
        head.set_weights([inputs.T @ (back @ kernel) if is_long else kernel, bias])


@threadpool_limits.wrap(limits=1)  # More wait for each other longer than they compute.
def _fitted(
    problem: Problem, penalty: float | Literal["auto", "nearest"], stream: str
) -> tuple[Floats, Floats]:
    if penalty == "nearest":
        return nearest_mean(problem)
    if penalty == "auto":
        penalty = choose_penalty(problem)
        print(f"{stream}: penalty {penalty:g}, by folds over training groups", flush=True)
    return fit(problem, penalty)


def _problem(
    statistics: keras.Model, name: str, config: RunConfig, videos: FeatureVideos
) -> Problem:
    """Statistics of training clips, as training in epochs would see them, not standardised."""
    records = videos.of_split("train")
    each = max(1, min(_MOST_CLIPS, _ENOUGH // len(records)))
    inputs, labels = [], []
    for epoch in range(each):
        for taken, label in augmented_clips(videos, config, epoch=epoch).batch(_AT_ONCE):
            inputs.append(statistics({"features": taken[name], "mask": taken["mask"]}).numpy())
            labels.append(label.numpy())
    task, train, num_classes = task_of(config.model), config.train, len(videos.class_names)
    smoothing = train.label_smoothing
    targets = task.targets(np.concatenate(labels), num_classes, smoothing).numpy().astype(float)
    weights = np.full(len(targets), 1 / each)
    if train.class_weights or train.balanced:
        counts = targets.sum(axis=0)
        weights *= targets @ (counts.sum() / (num_classes * counts))
    groups = np.array([record.row.group for record in records] * each)
    exclusive = not config.model.multilabel
    return Problem(np.concatenate(inputs), targets, weights, groups, exclusive)


def note_fit(
    trainer: Trainer, progress: Progress, config: RunConfig, videos: FeatureVideos, run: Run
) -> None:
    """Keeps a network that was fitted at once, as that of the only epoch."""
    log = EpochLog(run.history_file, 1, progress.best, task_of(config.model).metric_title)
    log.set_model(progress.model)
    log.on_epoch_begin(0)
    logs: dict[str, float] = {}
    splits: tuple[tuple[Split, str], ...] = (("train", ""), ("val", "val_"))
    for split, prefix in splits:
        if batches := batches_for_validation(videos, config, split=split):
            found = trainer.judge(iter(batches))
            logs |= {f"{prefix}{name}": value for name, value in found.items()}
    progress.best.on_epoch_end(0, logs)
    log.on_epoch_end(0, logs)
    progress.best.write()
