"""Fitting how a run is used, on training and validation videos alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.dataset.videos import Data, damage_named, read_videos
from pipeline.evaluation.predictions import Predictions, open_run_data, predict
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, fit_logit_threshold, write_calibration
from pipeline.tasks.task import exclusive_task_of

_ENOUGH = 200
"""Videos that tell how long they usually are."""


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
    with damage_named(videos):
        calibration = Calibration(clip_seconds=_usual_seconds(videos, config))
        if "val" in videos.num_videos:
            model = load_recognizer(run.model_file, config, len(class_names))
            predictions = predict(model, videos, config, "val")
            calibration = _fitted(calibration, predictions, config)
    write_calibration(run, calibration)
    return calibration


def _usual_seconds(videos: Data, config: RunConfig) -> float:
    """The median length of training videos."""
    some = read_videos(videos, "train", config).take(_ENOUGH)
    lengths = some.map(lambda video: video["num_frames"])
    return float(np.median([*lengths.as_numpy_iterator()])) / videos.frames.fps


def _fitted(calibration: Calibration, predictions: Predictions, config: RunConfig) -> Calibration:
    logits, labels = predictions.video_logits, predictions.labels
    task, wanted = exclusive_task_of(config.model), config.evaluate
    return dataclasses.replace(
        calibration,
        temperature=task.fit_temperature(logits, labels),
        logit_threshold=fit_logit_threshold(
            task.score(logits),
            task.is_right(logits, labels),
            wanted.unknown,
            wanted.unknown_target,
        ),
        num_videos=len(labels),
    )
