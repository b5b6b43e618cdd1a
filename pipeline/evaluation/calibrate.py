"""Fitting how a run is used, on training and validation videos alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pipeline.config import RunConfig
from pipeline.dataset.recordings import recording_labels
from pipeline.dataset.videos import damage_named
from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import Predictions
from pipeline.prepare.prepared import PreparedDataset
from pipeline.tasks.bouts import usual_bounds
from pipeline.tasks.calibration import (
    Calibration,
    fit_class_thresholds,
    fit_logit_threshold,
    write_calibration,
)
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.multi_label import MultiLabel
from pipeline.training.features import on_stored_features
from pipeline.training.run_folder import OpenedRun


def calibrate(opened: OpenedRun) -> Calibration:
    """Fits the temperature and the logit threshold of a run and keeps them in its folder.

    Without validation videos the logits are left as they are, and every answer is given.
    """
    config, videos = opened.config, opened.data
    with damage_named():
        if config.model.per_frame:
            calibration = _bounds(videos, config)
        else:
            calibration = Calibration(clip_seconds=_usual_seconds(videos))
        if "val" in videos.num_videos:
            found = predict(*on_stored_features(opened.model, videos, config), config, "val")
            found = found if config.model.per_frame else found.by_video()
            calibration = fitted(calibration, found, config)
    write_calibration(opened.run, calibration)
    return calibration


def _usual_seconds(videos: PreparedDataset) -> float:
    """The median length of training videos."""
    lengths = [clip.num_frames for clip in videos.of_split("train")]
    return float(np.median(lengths)) / videos.frames.fps


def _bounds(store: PreparedDataset, config: RunConfig) -> Calibration:
    """How short bouts and gaps of answers at every frame may be, from training recordings."""
    labels = recording_labels(store, store.of_split("train"))
    least, gap = usual_bounds(labels, len(store.class_names))
    fps = store.frames.fps
    return Calibration(
        clip_seconds=config.clip.num_frames * config.clip.stride / fps,
        least_seconds=tuple((least / fps).tolist()),
        gap_seconds=tuple((gap / fps).tolist()),
    )


def fitted(calibration: Calibration, predictions: Predictions, config: RunConfig) -> Calibration:
    """A calibration with what videos tell that took no part in training.

    Args:
        calibration: Its lengths of time stay.
        predictions: A row for each video, or for each frame of recordings.
        config: The run, of which the task is known.
    """
    logits, labels = predictions.known
    if not len(logits):
        return calibration
    task = predictions.task
    found: dict[str, Any] = {"temperature": task.each.fit_temperature(logits, labels)}
    if isinstance(task.each, MultiLabel):
        probabilities = task.probabilities(logits, found["temperature"])
        found["thresholds"] = fit_class_thresholds(probabilities, labels == 1)
    elif isinstance(task, MultiClass):
        wanted = config.evaluate.unknown, config.evaluate.unknown_target
        right = task.is_right(logits, labels)
        found["logit_threshold"] = fit_logit_threshold(task.score(logits), right, *wanted)
    return dataclasses.replace(calibration, num_videos=len(predictions.names), **found)
