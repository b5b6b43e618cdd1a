"""The evaluation of runs that answer at every frame, or with several labels a video."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pipeline.config import RunConfig
from pipeline.dataset.sampling import grid_offset
from pipeline.dataset.videos import recording_frames
from pipeline.evaluation.bouts import bouts, write_bouts
from pipeline.evaluation.frames_report import write_frames_report
from pipeline.evaluation.predict import keep_predictions, predict
from pipeline.figures import frame_strip
from pipeline.manifest.rows import Split
from pipeline.manifest.stored import Clip
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
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
    found = keep_predictions(run, split, predict(model, data, config, split), calibration)
    recordings, result = found.recordings(), found.scores()
    if data.leaks:
        result["leaks"] = list(data.leaks)
    result["calibration"] = calibration.as_json()
    rows = bouts(
        recordings,
        class_names,
        background=config.model.background,
        exclusive=not config.model.multilabel,
        bin_seconds=bin_seconds,
    )
    write_bouts(run.report / f"{split}_bouts.csv", rows)
    clips = {clip.name: clip for clip in data.of_split(split)}
    write_frames_report(
        run,
        split,
        result,
        recordings,
        class_names,
        data=data.path,
        strip=lambda number, *ends: _strip(data, config, clips[found.names[number]], *ends),
    )
    return result


def _strip(data: PreparedDataset, config: RunConfig, clip: Clip, first: int, last: int) -> bytes:
    """Frames of the grid of a recording from one to another, side by side, as JPEG."""
    chosen = np.unique(np.linspace(first, last, _STRIP_FRAMES).round().astype(int))
    numbers = grid_offset(config.clip) + chosen * config.clip.stride
    frames = recording_frames(data, clip, numbers.tolist())
    strip = frame_strip(np.stack(frames), np.ones(len(frames), bool))
    return encode_jpeg(strip, quality=_STRIP_QUALITY)


def evaluate_labels(
    run: Run, split: Split, model: keras.Model, data: PreparedDataset, calibration: Calibration
) -> dict[str, Any]:
    """Evaluates a run that gives a video several labels.

    Returns:
        What `metrics.json` then holds for the split, see `frame_scores.video_scores`.
    """
    found = keep_predictions(run, split, predict(model, data, run.config(), split), calibration)
    result = {**found.scores(), "calibration": calibration.as_json()}
    if data.leaks:
        result["leaks"] = list(data.leaks)
    return result
