"""The evaluation of runs that answer at every frame, or with several labels a video."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pipeline.config import RunConfig
from pipeline.dataset.sampling import grid_offset
from pipeline.dataset.videos import recording_frames
from pipeline.evaluation.answers import answers_file, answers_of, write_answers
from pipeline.evaluation.bouts import bouts, write_bouts
from pipeline.evaluation.frame_predictions import predict_frames
from pipeline.evaluation.frame_scores import score_recordings
from pipeline.evaluation.frames_report import write_frames_report
from pipeline.evaluation.predictions import predict
from pipeline.evaluation.recordings import write_recordings
from pipeline.figures import frame_strip
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.frames import Frames
from pipeline.tasks.task import task_of
from pipeline.video import encode_jpeg

_STRIP_FRAMES = 12
_STRIP_QUALITY = 88


def evaluate_recordings(
    run: Run,
    split: Split,
    model: keras.Model,
    data: PreparedDataset,
    calibration: Calibration,
    *,
    bin_seconds: float | None = None,
) -> dict[str, Any]:
    """Evaluates a run that answers at every frame: scores, statistics of bouts, a report.

    Args:
        run: A trained run.
        split: Which recordings.
        model: Its recogniser.
        data: Its data set.
        calibration: Of the run.
        bin_seconds: Length of the bins of time of `report/SPLIT_bouts.csv`; None: only whole
            recordings.

    Returns:
        What `metrics.json` then holds for the split, see `frame_scores.score_recordings`.
    """
    config, class_names = run.config(), run.class_names()
    task, clip, background = task_of(config.model), config.clip, config.model.background
    if not isinstance(task, Frames):
        raise TypeError(f"expected a run that answers at every frame, got {config.model.task}")
    fps = data.frames.fps / clip.stride
    predictions = predict_frames(model, data, config, split)
    recordings = [each.judged_by(task, calibration, fps) for each in predictions]
    exclusive = task.is_exclusive
    result = score_recordings(recordings, class_names, background=background, exclusive=exclusive)
    if data.leaks:
        result["leaks"] = list(data.leaks)
    result["calibration"] = calibration.as_json()
    run.report.mkdir(exist_ok=True)
    write_recordings(answers_file(run, split, config.model), recordings)
    rows = bouts(
        recordings,
        class_names,
        background=background,
        exclusive=exclusive,
        bin_seconds=bin_seconds,
    )
    write_bouts(run.report / f"{split}_bouts.csv", rows)
    write_frames_report(
        run,
        split,
        result,
        recordings,
        class_names,
        data=data.path,
        strip=lambda number, first, last: _strip(data, config, split, number, first, last),
    )
    return result


def _strip(
    data: PreparedDataset, config: RunConfig, split: Split, recording: int, first: int, last: int
) -> bytes:
    """Frames of the grid from one to another, side by side, as JPEG."""
    chosen = np.unique(np.linspace(first, last, _STRIP_FRAMES).round().astype(int))
    numbers = grid_offset(config.clip) + chosen * config.clip.stride
    frames = recording_frames(data, data.of_split(split)[recording], numbers.tolist())
    strip = frame_strip(np.stack(frames), np.ones(len(frames), bool))
    return encode_jpeg(strip, quality=_STRIP_QUALITY)


def evaluate_labels(
    run: Run, split: Split, model: keras.Model, data: PreparedDataset, calibration: Calibration
) -> dict[str, Any]:
    """Evaluates a run that gives a video several labels.

    Returns:
        What `metrics.json` then holds for the split, see `frame_scores.video_scores`.
    """
    config, class_names = run.config(), run.class_names()
    answers = answers_of(predict(model, data, config, split), calibration, config.model)
    result = {
        **answers.scores(config.model, class_names),
        "calibration": calibration.as_json(),
    }
    if data.leaks:
        result["leaks"] = list(data.leaks)
    run.report.mkdir(exist_ok=True)
    path = answers_file(run, split, config.model)
    write_answers(path, answers, config.model, class_names, calibration)
    return result
