"""Predictions of a run for the videos of a split: every video once, all its views."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.sampling import Order
from pipeline.dataset.videos import open_data
from pipeline.errors import DataError
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Logits of videos, with their labels.

    Attributes:
        logits: float32 (V, N, C): views, videos, classes.
        labels: int64 (N,); uint8 (N, C) where a video may have several.
        videos: Path of each video.
        groups: Group of each video.
    """

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.integer[Any]]
    videos: list[str]
    groups: list[str]

    @property
    def video_logits(self) -> npt.NDArray[np.float32]:
        """Mean logits (N, C) over the views of each video."""
        mean: npt.NDArray[np.float32] = self.logits.mean(axis=0)
        return mean


def predict(
    model: keras.Model,
    data: PreparedDataset,
    config: RunConfig,
    split: Split,
    *,
    order: Order = "in_order",
    most: int | None = None,
) -> Predictions:
    """Runs the model on every view of every video of a split; labels come from the same pass.

    Args:
        model: The recogniser.
        data: The videos.
        config: Its run; `clip.views` says how many views a video has.
        split: Which videos.
        order: Order of the frames within each clip.
        most: Real frames in a clip, at most; None: as many as a clip has.

    Raises:
        DataError: The model gives something that is no number.
    """
    logits = []
    for view in range(config.clip.views):
        clips = evaluation_clips(data, config, split, view=view, order=order, most=most)
        batches = [
            (model.predict_on_batch(inputs), label.numpy(), source)
            for inputs, label, source in clips
        ]
        found, labels, sources = zip(*batches, strict=True)
        logits.append(np.concatenate(found))
    expect_numbers(logits, config)
    videos, groups = (
        [text.decode() for source in sources for text in source[name].numpy()]
        for name in ("video", "group")
    )
    return Predictions(np.stack(logits), np.concatenate(labels), videos, groups)


def expect_numbers(logits: Sequence[npt.NDArray[np.float32]], config: RunConfig) -> None:
    """Makes sure that all logits are numbers.

    Raises:
        DataError: One is not.
    """
    if not all(np.isfinite(each).all() for each in logits):
        raise DataError(
            "the model answers with what is no number. Train it anew with a lower "
            f"train.learning_rate, which was {config.train.learning_rate:g}"
        )


def open_run_data(run: Run, data: Path | None = None) -> PreparedDataset:
    """Opens the videos that a run was trained with; `data` is where they were moved to since.

    Raises:
        DataError: They are not there, or are others now.
    """
    config = run.config()
    path = data or Path(config.data)
    several = config.model.task == "video-multilabel"
    # What the rate was chosen by is there, too: it is chosen again.
    frames = dataclasses.replace(config.frames.only(config.model.images), shrink=1, fps=0)
    cache = Path(config.data_cache)
    try:
        opened = open_data(path, frames, config.split, cache=cache, several=several)
    except DataError:
        if path.exists():
            raise
        raise DataError(
            f"{path}: the data set that the run was trained on is not there. Say where it is "
            "now: --data"
        ) from None
    if list(opened.class_names) != run.class_names():
        raise DataError(f"{path} has other classes than the run was trained on. Train again")
    check_frames(run, opened)
    if run.environment().get("data_fingerprint") != opened.fingerprint:
        raise DataError(
            f"{path} was prepared anew since the run was trained: its test videos may have been "
            "in training. Train again"
        )
    return opened


def check_frames(run: Run, data: PreparedDataset) -> None:
    """Makes sure that what a model takes of videos is as in those that it was trained with.

    Raises:
        DataError: It is not.
    """
    config = run.config()
    frames = dataclasses.replace(config.frames.only(config.model.images), shrink=1)
    found = data.frames.only(set(config.model.images).intersection(data.frames.images))
    if found != frames:
        raise DataError(
            f"{data.path} was prepared with other frames than the run was trained on: "
            f"{found} instead of {frames}. Prepare it in the same way, or train again"
        )
