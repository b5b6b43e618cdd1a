"""Fitting how a run is used, on training and validation videos alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.dataset.recordings import recording_labels
from pipeline.dataset.videos import damage_named
from pipeline.evaluation.frame_predictions import predict_frames
from pipeline.evaluation.predictions import open_run_data, predict
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.bouts import usual_bounds
from pipeline.tasks.calibration import (
    Calibration,
    fit_class_thresholds,
    fit_logit_threshold,
    write_calibration,
)
from pipeline.tasks.frames import Frames
from pipeline.tasks.independent import Independent
from pipeline.tasks.task import task_of
from pipeline.training.features import on_stored_features


def calibrate(run: Run, *, data: Path | None = None) -> Calibration:
    """Fits the temperature and the logit threshold of a run and keeps them in its folder.

    Without validation videos the logits are left as they are, and every answer is given.

    Args:
        run: A trained run whose data set is still there.
        data: Where the data set is, if it was moved since the run was trained.

    Raises:
        DataError: The run or its data set cannot be used.
    """
    config, class_names = run.config(), run.class_names()
    videos = open_run_data(run, data)
    with damage_named():
        if config.model.per_frame:
            calibration = _bounds(videos, config)
        else:
            calibration = Calibration(clip_seconds=_usual_seconds(videos))
        if "val" in videos.num_videos:
            model = load_recognizer(run.model_file, config, len(class_names))
            part, seen = on_stored_features(model, videos, config)
            calibration = _fitted(calibration, part, seen, config)
    write_calibration(run, calibration)
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


def _fitted(
    calibration: Calibration, model: keras.Model, videos: PreparedDataset, config: RunConfig
) -> Calibration:
    """With what validation videos, or the known frames of recordings, tell."""
    task = task_of(config.model)
    if isinstance(task, Frames):
        logits, labels = _known_frames(model, videos, config, task)
    else:
        predicted = predict(model, videos, config, "val")
        logits, labels = predicted.video_logits, predicted.labels
    return fitted(calibration, logits, labels, videos.num_videos["val"], config)


def fitted(
    calibration: Calibration,
    logits: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    num_videos: int,
    config: RunConfig,
) -> Calibration:
    """A calibration with what videos tell that took no part in training.

    Args:
        calibration: Its lengths of time stay.
        logits: float (N, C), of the videos, or of the frames of which something is known.
        labels: int (N,), or 0 and 1, (N, C).
        num_videos: How many videos, or recordings, these are.
        config: The run, of which the task is known.
    """
    if not len(logits):
        return calibration
    task = task_of(config.model)
    each = task.each if isinstance(task, Frames) else task
    found: dict[str, Any] = {"temperature": each.fit_temperature(logits, labels)}
    if isinstance(each, Independent):
        probabilities = each.probabilities(logits, found["temperature"])
        found["thresholds"] = fit_class_thresholds(probabilities, labels == 1)
    elif each is task:
        wanted = config.evaluate.unknown, config.evaluate.unknown_target
        right = each.is_right(logits, labels)
        found["logit_threshold"] = fit_logit_threshold(each.score(logits), right, *wanted)
    return dataclasses.replace(calibration, num_videos=num_videos, **found)


def _known_frames(
    model: keras.Model, videos: PreparedDataset, config: RunConfig, task: Frames
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.integer[Any]]]:
    """Logits and labels of the frames of validation recordings of which all is known."""
    predictions = predict_frames(model, videos, config, "val")
    logits = np.concatenate([each.logits for each in predictions])
    labels = np.concatenate([each.labels for each in predictions])
    known = task.known(labels)
    found = labels[known]
    return logits[known], (found == 1).argmax(axis=1) if task.is_exclusive else found
