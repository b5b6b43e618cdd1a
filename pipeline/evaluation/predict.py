"""Running a model on the clips of a split, and what of that is written."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.sampling import Order, frame_weights, grid_length, join_windows
from pipeline.dataset.videos import damage_named, recordings_of
from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions, in_order, write_predictions
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration
from pipeline.tasks.frames import Frames
from pipeline.tasks.task import task_of
from pipeline.training.features import on_stored_features
from pipeline.training.run_folder import OpenedRun

_FIRST: Final = ("video", "group", "label", "predicted")


class _Rows(NamedTuple):
    """Predictions of videos, one after the other: logits and targets by video, names and groups."""

    logits: list[npt.NDArray[np.float32]]
    targets: list[npt.NDArray[np.integer[Any]]]
    names: list[str]
    groups: list[str]


def predict(
    model: keras.Model,
    data: PreparedDataset,
    config: RunConfig,
    split: Split,
    *,
    order: Order = "in_order",
    most: int | None = None,
) -> Predictions:
    """Runs the model on every clip of a split once; targets come from the same pass.

    A video has a row for each of its `clip.views` clips. A recording has one for each of its
    frames that clips are cut of, `clip.stride` apart: the mean over the windows, which overlap by
    half, that it lies in.

    Args:
        model: The recogniser.
        data: The videos.
        config: Its run.
        split: Which videos.
        order: Of the frames within each clip of a video.
        most: Real frames in a clip of a video, at most; None: as many as a clip has.

    Raises:
        DataError: The model gives something that is no number.
    """
    is_frames, task = data.labelling == "frames", task_of(config.model)
    found = (
        _of_recordings(model, data, config, split)
        if is_frames
        else _of_videos(model, data, config, split, order, most)
    )
    logits, targets = np.concatenate(found.logits), np.concatenate(found.targets)
    if not np.isfinite(logits).all():
        raise DataError(
            "the model answers with what is no number. Train it anew with a lower "
            f"train.learning_rate, which was {config.train.learning_rate:g}"
        )
    known = task.known(targets) if isinstance(task, Frames) else np.ones(len(logits), np.bool_)
    return in_order(
        Predictions(
            logits=logits,
            targets=targets,
            valid=known,
            video=np.repeat(np.arange(len(found.names)), [len(each) for each in found.logits]),
            names=tuple(found.names),
            groups=tuple(found.groups),
            class_names=tuple(data.class_names),
            model=config.model,
            fps=data.frames.fps / config.clip.stride if is_frames else 0.0,
        )
    )


def predict_split(opened: OpenedRun, split: Split) -> Predictions:
    """Has a run answer for a split, and keeps that; all else that evaluation measures it does not.

    Returns:
        Its calibrated predictions, a row for each video or frame.

    Raises:
        DataError: The split has no videos.
    """
    run, config = opened.run, opened.config
    expect_split(opened.data, split)
    with damage_named():
        part, seen = on_stored_features(opened.model, opened.data, config)
        predictions = predict(part, seen, config, split)
    return keep_predictions(run, split, predictions, read_calibration(run))


def keep_predictions(
    run: Run, split: Split, found: Predictions, calibration: Calibration
) -> Predictions:
    """Writes predictions for a split into the report of a run; of videos, with a table for people.

    Returns:
        The same, calibrated, a row for each video or frame.
    """
    write_predictions(run, split, found)
    if found.model.per_frame:
        return found.calibrated(calibration)
    videos = found.by_video()
    write_table(run.report / f"{split}_predictions.csv", videos, calibration)
    return videos.calibrated(calibration)


def expect_split(data: PreparedDataset, split: Split) -> None:
    """Makes sure that there are videos in a split.

    Raises:
        DataError: There is none.
    """
    if split not in data.num_videos:
        raise DataError(f"{data.path} has no {split} videos. Prepare it with --{split}-fraction")


def _of_videos(
    model: keras.Model,
    data: PreparedDataset,
    config: RunConfig,
    split: Split,
    order: Order,
    most: int | None,
) -> _Rows:
    views = []
    for view in range(config.clip.views):
        clips = evaluation_clips(data, config, split, view=view, order=order, most=most)
        batches = [
            (model.predict_on_batch(inputs), label.numpy(), source)
            for inputs, label, source in clips
        ]
        logits, labels, sources = zip(*batches, strict=True)
        views.append(np.concatenate(logits))
    names, groups = (
        [text.decode() for source in sources for text in source[name].numpy()]
        for name in ("video", "group")
    )
    targets = np.repeat(np.concatenate(labels)[:, None], len(views), axis=1)
    return _Rows(list(np.stack(views, axis=1)), list(targets), names, groups)


def _of_recordings(
    model: keras.Model, data: PreparedDataset, config: RunConfig, split: Split
) -> _Rows:
    weights = frame_weights(config.clip.num_frames, looks_back_only=config.temporal.looks_back_only)
    windows = _windows(model, data, config, split)
    by_name = itertools.groupby(windows, key=lambda window: window["video"])
    found = _Rows([], [], [], [])
    for record, (_, of_recording) in zip(recordings_of(data, split), by_name, strict=True):
        num_frames = grid_length(record.num_frames, config.clip)
        targets = np.empty((num_frames, len(data.class_names)), np.uint8)
        placed = _placed(of_recording, targets)
        found.logits.append(join_windows(placed, num_frames, weights))
        found.targets.append(targets)
        found.names.append(record.name)
        found.groups.append(record.row.group)
    return found


def _placed(
    windows: Iterator[dict[str, Any]], targets: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yields where each window starts and its logits; puts its labels in their place."""
    for window in windows:
        start, real = window["start"], int(window["mask"].sum())
        targets[start : start + real] = window["labels"][:real]
        yield start, window["logits"][:real]


def _windows(
    model: keras.Model, data: PreparedDataset, config: RunConfig, split: Split
) -> Iterator[dict[str, Any]]:
    for inputs, labels, source in evaluation_clips(data, config, split):
        batch = {
            "video": source["video"].numpy(),
            "start": source["first_frame"].numpy() // config.clip.stride,
            "mask": inputs["mask"].numpy(),
            "labels": labels.numpy(),
            "logits": model.predict_on_batch(inputs),
        }
        yield from ({name: each[row] for name, each in batch.items()} for row in range(len(labels)))


def write_table(path: Path, videos: Predictions, calibration: Calibration) -> None:
    """Writes a line for each video, for people: what it is, and what the model says.

    Where classes exclude each other, `probability` is that of the answer and `max_logit` its score,
    before calibration; then comes the probability of every class.

    Args:
        path: The file.
        videos: Of whole videos, a row each, not calibrated.
        calibration: Of the run.
    """
    names, one = np.array(videos.class_names), not videos.model.multilabel
    found, scores = videos.calibrated(calibration), videos.logits.max(axis=1)
    shares = found.probabilities
    labels = videos.targets[:, None] == np.arange(len(names)) if one else videos.targets == 1
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_FIRST, *(("probability", "max_logit") if one else ()), *names])
    for i, name in enumerate(videos.names):
        row = [name, videos.groups[i], *(";".join(names[e[i]]) for e in (labels, found.answers))]
        row += [f"{shares[i].max():.4f}", f"{scores[i]:.4f}"] if one else []
        writer.writerow([*row, *(f"{share:.6g}" for share in shares[i])])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode(errors="backslashreplace"))
