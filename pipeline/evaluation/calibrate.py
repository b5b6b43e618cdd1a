"""Fitting what makes the logits of a run probabilities, on validation videos alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.data.videos import damage_named
from pipeline.evaluation.calibration import (
    Calibration,
    fit_temperature,
    fit_threshold,
    write_calibration,
)
from pipeline.evaluation.predictions import open_run_data, predict
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run


def calibrate(run: Run, *, data: Path | None = None) -> Calibration:
    """Fits temperature and threshold of a run and keeps them in its folder.

    Without validation videos nothing is fitted, and an older calibration is removed.

    Args:
        run: A trained run whose data set is still there.
        data: Where the data set is, if it was moved since the run was trained.

    Raises:
        DataError: The run or its data set cannot be used.
    """
    config, class_names = run.config(), run.class_names()
    videos = open_run_data(run, data)
    if "val" not in videos.num_videos:
        run.calibration_file.unlink(missing_ok=True)
        return Calibration()
    model = load_recognizer(run.model_file, config, len(class_names))
    with damage_named(videos):
        predictions = predict(model, videos, config, "val")
    logits, labels = predictions.video_logits, predictions.labels
    temperature = fit_temperature(logits, labels)
    probabilities = Calibration(temperature=temperature).probabilities(logits)
    correct: np.ndarray = probabilities.argmax(axis=1) == labels
    threshold = fit_threshold(
        probabilities.max(axis=1), correct, config.evaluate.unknown, config.evaluate.unknown_target
    )
    calibration = Calibration(temperature=temperature, threshold=threshold, num_videos=len(labels))
    write_calibration(run, calibration)
    return calibration
