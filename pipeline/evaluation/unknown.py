"""Videos of classes that a run was never trained on: are they told from those that it knows?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.dataset.videos import check_frames, damage_named, open_data
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.evaluation.predict import predict
from pipeline.evaluation.results import UnknownScores
from pipeline.manifest.rows import SPLITS
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration
from pipeline.training.features import on_stored_features

Scores = Mapping[str, Sequence[float]]
"""The score of each video, see `Task.score`, by its class."""


def open_unknown(run: Run, path: Path) -> PreparedDataset:
    """Opens a prepared data set, or a table, with videos of classes that a run does not know.

    Raises:
        DataError: It cannot be used, or the run knows all its classes.
    """
    config = run.config()
    frames = dataclasses.replace(config.frames.only(config.model.images), shrink=1)
    unknown = open_data(path, frames, cache=Path(config.data_cache), holds_out=False)
    check_frames(run, unknown)
    if not set(unknown.class_names) - set(run.class_names()):
        raise DataError(
            f"{path}: expected videos of classes that the run does not know, it knows all of these"
        )
    return unknown


def score_unknown(
    model: keras.Model,
    unknown: PreparedDataset,
    config: RunConfig,
    trained: PreparedDataset,
    class_names: Sequence[str],
) -> Scores:
    """The scores of all videos of other classes whose groups were not in training.

    Raises:
        DataError: All these videos are of groups that were in training.
    """
    seen = {row.group for row in trained.manifest.rows if row.split != "test"}
    scores: dict[str, list[float]] = {}
    for split in SPLITS:
        if split not in unknown.num_videos:
            continue
        with damage_named():
            clips = predict(*on_stored_features(model, unknown, config), config, split)
        videos = clips.by_video()
        rows = zip(videos.targets, videos.groups, videos.task.score(videos.logits), strict=True)
        for label, group, score in rows:
            name = unknown.class_names[label]
            if name not in class_names and group not in seen:
                scores.setdefault(name, []).append(float(score))
    if not scores:
        raise DataError(
            f"{unknown.path}: expected videos of unknown classes and of groups that the run was "
            "not trained on, got none"
        )
    return scores


def unknown_test(
    known: npt.NDArray[np.float64], scores: Scores, calibration: Calibration
) -> UnknownScores:
    """Measures of how well scores tell videos of known classes from others.

    Args:
        known: float (N,), the score of each video of a known class.
        scores: The same of videos of other classes.
        calibration: Says which score an answer takes.
    """
    unknown = np.concatenate([np.array(values) for values in scores.values()])
    rejected = float(np.mean(~calibration.is_enough(unknown)))
    return UnknownScores(len(unknown), sorted(scores), metrics.separation(known, unknown), rejected)
