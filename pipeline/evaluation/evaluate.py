"""The evaluation of a run: every video of a split, once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.atomic import write_json
from pipeline.config import RunConfig
from pipeline.config.checks import expect, expect_above_0
from pipeline.dataset.sampling import Order, grid_offset
from pipeline.dataset.videos import damage_named, open_run_data, recording_frames
from pipeline.evaluation import metrics
from pipeline.evaluation.bouts import bouts, write_bouts
from pipeline.evaluation.frames_report import write_frames_report
from pipeline.evaluation.intervals import accuracy_interval
from pipeline.evaluation.predict import expect_split, keep_predictions, predict
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report import write_report
from pipeline.evaluation.unknown import open_unknown, score_unknown, unknown_test
from pipeline.figures import frame_strip
from pipeline.manifest.rows import Split
from pipeline.manifest.stored import Clip
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration
from pipeline.tasks.frames import Frames
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.task import Task, task_of
from pipeline.training.features import on_stored_features
from pipeline.video import encode_jpeg

ORDERS: tuple[Order, ...] = ("in_order", "shuffled", "reversed")


def evaluate(
    run: Run,
    split: Split = "test",
    *,
    data: Path | None = None,
    views: int | None = None,
    unknown: Path | None = None,
    bin_seconds: float | None = None,
) -> dict[str, Any]:
    """Evaluates a run on a split of its data set and writes metrics and report.

    Args:
        run: A trained run.
        split: Which videos.
        data: Where the data set is, if it was moved since the run was trained.
        views: Clips of each video whose logits are averaged; None: as the run was configured.
        unknown: Videos of classes that the run does not know, a prepared data set or a table: how
            well are they told from those that it knows? For task video.
        bin_seconds: Of answers at every frame: length of the bins of time that bouts are counted
            in; None: only whole recordings.

    Returns:
        What `metrics.json` then holds for the split.

    Raises:
        DataError: The run or its data set cannot be used, or the split has no videos.
        ConfigError: `evaluate.order_pairs` names a class that there is not, or `views` is below 1.
    """
    config, class_names = run.config(), run.class_names()
    if views is not None:
        config = dataclasses.replace(config, clip=dataclasses.replace(config.clip, views=views))
    videos = open_run_data(run, data)
    expect_split(videos, split)
    config.check_classes(class_names)
    run.metrics()  # says at once if it is damaged
    run.history()  # as well
    calibration = read_calibration(run)
    task = task_of(config.model)
    _check_options(task, views=views, unknown=unknown, bin_seconds=bin_seconds)
    others = open_unknown(run, unknown) if unknown else None
    model = load_recognizer(run.model_file, config, len(class_names))
    with damage_named():
        part, seen = on_stored_features(model, videos, config)
        if isinstance(task, MultiClass):
            result = _evaluate_videos(run, split, model, videos, config, calibration, others)
        elif isinstance(task, Frames):
            result = evaluate_recordings(
                run, split, part, seen, calibration, bin_seconds=bin_seconds
            )
        else:
            result = evaluate_labels(run, split, part, seen, calibration)
    write_json(run.metrics_file, {**run.metrics(), split: result})
    return result


def _check_options(
    task: Task, *, views: int | None, unknown: Path | None, bin_seconds: float | None
) -> None:
    frames, one = isinstance(task, Frames), isinstance(task, MultiClass)
    expect(views is None or not frames, "--views is for whole videos: leave it out", views)
    expect(not unknown or one, "--unknown is for runs of task video: leave it out", str(unknown))
    takes = "--bins is for runs that answer at every frame: leave it out"
    expect(bin_seconds is None or frames, takes, bin_seconds)
    if bin_seconds is not None:
        expect_above_0(bin_seconds, "--bins")


def _evaluate_videos(
    run: Run,
    split: Split,
    model: keras.Model,
    videos: PreparedDataset,
    config: RunConfig,
    calibration: Calibration,
    others: PreparedDataset | None,
) -> dict[str, Any]:
    """Of a run of task video, with its report."""
    class_names, task = run.class_names(), MultiClass()
    quickest = on_stored_features(model, videos, config)
    backwards = on_stored_features(model, videos, config, backwards=True)
    predictions = {
        order: predict(
            *(backwards if order == "reversed" else quickest), config, split, order=order
        )
        for order in ORDERS
    }
    clips = predictions["in_order"]
    result = summarise(clips, calibration)
    if videos.leaks:
        result["leaks"] = list(videos.leaks)
    result["lengths"] = _accuracy_by_length(*quickest, config, split)
    result["order"] = _order_test(predictions, class_names, config)
    if others:
        scores = score_unknown(model, others, config, videos, class_names)
        result["unknown"] = unknown_test(task.score(clips.by_video().logits), scores, calibration)
    write_report(run, split, result, keep_predictions(run, split, clips, calibration), videos)
    return result


def summarise(clips: Predictions, calibration: Calibration) -> dict[str, Any]:
    """Accuracy at video and at clip level, per class, and what the probabilities are worth.

    Args:
        clips: Of task video, a row for each clip.
        calibration: Of the run.
    """
    videos, task = clips.by_video(), MultiClass()
    per_class = metrics.per_class(task.answers(videos.logits), videos.targets, clips.class_names)
    return {
        "video": _top(videos),
        "clip": _top(clips),
        "per_class": per_class,
        "macro": metrics.macro(per_class),
        "calibration": _calibration(videos, calibration, task),
        "num_videos": len(videos.names),
        "num_groups": len(set(videos.groups)),
        "num_views": len(clips.logits) // len(videos.logits),
        "chance": metrics.chance(videos.targets),
    }


def _top(predictions: Predictions) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for k in (1, 5):
        correct = metrics.in_top_k(predictions.logits, predictions.targets, k)
        result[f"top{k}"] = float(correct.mean())
        result[f"top{k}_interval95"] = accuracy_interval(correct, predictions.row_groups)
    return result


def _calibration(videos: Predictions, calibration: Calibration, task: MultiClass) -> dict[str, Any]:
    """Distance of probabilities from shares of right answers, before and after calibration."""
    logits = videos.logits
    correct = task.is_right(logits, videos.targets)
    before = task.probabilities(logits).max(axis=1)
    after = task.probabilities(logits, calibration.temperature).max(axis=1)
    answered = calibration.is_enough(task.score(logits))
    return {
        **calibration.as_json(),
        "error_before": metrics.calibration_error(before, correct),
        "error_after": metrics.calibration_error(after, correct),
        "answered": float(answered.mean()),
        "top1_answered": float(correct[answered].mean()) if answered.any() else None,
        "reliability": metrics.reliability(after, correct),
    }


def _accuracy_by_length(
    model: keras.Model, videos: PreparedDataset, config: RunConfig, split: Split
) -> list[dict[str, Any]]:
    """Accuracy of one clip a video, of 1, 2, 4, ... up to all frames of a clip."""
    one_view = dataclasses.replace(config, clip=dataclasses.replace(config.clip, views=1))
    longest = config.clip.num_frames
    lengths = [*(2**power for power in range(10) if 2**power < longest), longest]
    found = []
    for length in lengths:
        predictions = predict(model, videos, one_view, split, most=length)
        correct = metrics.in_top_k(predictions.logits, predictions.targets, 1)
        found.append({"num_frames": length, "top1": float(correct.mean())})
    return found


def _order_test(
    predictions: dict[Order, Predictions], class_names: list[str], config: RunConfig
) -> dict[str, Any]:
    """Video accuracy with the frames in order, shuffled and reversed."""
    videos = {order: each.by_video() for order, each in predictions.items()}
    labels = videos["in_order"].targets
    logits = {order: each.logits for order, each in videos.items()}
    result: dict[str, Any] = {
        order: float(metrics.in_top_k(values, labels, 1).mean()) for order, values in logits.items()
    }
    pairs = config.evaluate.order_pairs
    if {class_names[label] for label in labels} & {name for pair in pairs for name in pair}:
        result["pairs"] = metrics.order_pairs(logits, labels, class_names, pairs)
    return result


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
