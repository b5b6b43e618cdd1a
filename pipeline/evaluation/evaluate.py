"""The evaluation of a run: every video of a split, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from pipeline.config import RunConfig
from pipeline.config.values import POSITIVE, expect
from pipeline.dataset.sampling import Order, grid_offset
from pipeline.dataset.videos import damage_named, data_of_run, recording_frames
from pipeline.evaluation import metrics
from pipeline.evaluation.frames_report import write_frames_report
from pipeline.evaluation.predict import expect_split, keep_predictions, predict
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.recordings import bouts, write_bouts
from pipeline.evaluation.report import write_report
from pipeline.evaluation.results import (
    CalibrationScores,
    LabelResult,
    LengthScore,
    OrderScores,
    RecordingResult,
    Scores,
    UnknownScores,
    VideoResult,
    VideoScores,
    write_metrics,
)
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
) -> Scores:
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
        What `metrics.json` then holds for the split; of task video a `VideoResult`.

    Raises:
        DataError: The run or its data set cannot be used, or the split has no videos.
        ConfigError: `evaluate.order_pairs` names a class that there is not, or `views` is below 1.
    """
    config, class_names = run.config(), run.class_names()
    if views is not None:
        config = dataclasses.replace(config, clip=dataclasses.replace(config.clip, views=views))
    videos = data_of_run(run, data)
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
        result: Scores
        if isinstance(task, MultiClass):
            result = _evaluate_videos(run, split, model, videos, config, calibration, others)
        elif isinstance(task, Frames):
            result = evaluate_recordings(
                run, split, part, seen, calibration, bin_seconds=bin_seconds
            )
        else:
            result = evaluate_labels(run, split, part, seen, calibration)
    write_metrics(run, split, result)
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
        POSITIVE.check(bin_seconds, "--bins")


def _evaluate_videos(
    run: Run,
    split: Split,
    model: keras.Model,
    videos: PreparedDataset,
    config: RunConfig,
    calibration: Calibration,
    others: PreparedDataset | None,
) -> VideoResult:
    """Of a run of task video, with its report."""
    quickest = on_stored_features(model, videos, config)
    backwards = on_stored_features(model, videos, config, backwards=True)
    predictions = {
        order: predict(
            *(backwards if order == "reversed" else quickest), config, split, order=order
        )
        for order in ORDERS
    }
    clips = predictions["in_order"]
    kept, unknown = keep_predictions(run, split, clips, calibration), None
    if others:
        scores = score_unknown(model, others, config, videos, run.class_names())
        known = MultiClass().score(clips.by_video().logits)
        unknown = unknown_test(known, scores, calibration)
    result = video_result(
        clips,
        calibration,
        lengths=_accuracy_by_length(*quickest, config, split),
        order=_order_test(predictions, config),
        unknown=unknown,
        leaks=videos.leaks,
    )
    write_report(run, split, result, kept, videos)
    return result


def video_result(
    clips: Predictions,
    calibration: Calibration,
    *,
    lengths: Sequence[LengthScore],
    order: OrderScores,
    unknown: UnknownScores | None = None,
    leaks: Sequence[str] = (),
) -> VideoResult:
    """Accuracy at video and at clip level, per class, and what the probabilities are worth.

    Args:
        clips: Of task video, a row for each clip.
        calibration: Of the run.
        lengths: See `VideoResult`, like the rest.
        order: As well.
        unknown: As well.
        leaks: As well.
    """
    videos = clips.by_video()
    scores = dataclasses.replace(videos.calibrated(calibration).video_scores(), leaks=leaks)
    return VideoResult(
        **{field.name: getattr(scores, field.name) for field in dataclasses.fields(VideoScores)},
        clip=metrics.accuracy(clips.logits, clips.targets, clips.row_groups),
        num_views=len(clips.logits) // len(videos.logits),
        macro=metrics.macro(scores.per_class),
        calibration=_calibration(videos, calibration),
        lengths=lengths,
        order=order,
        unknown=unknown,
    )


def _calibration(videos: Predictions, calibration: Calibration) -> CalibrationScores:
    """Distance of probabilities from shares of right answers, before and after calibration."""
    logits, task = videos.logits, MultiClass()
    correct = task.is_right(logits, videos.targets)
    before = task.probabilities(logits).max(axis=1)
    after = task.probabilities(logits, calibration.temperature).max(axis=1)
    answered = calibration.is_enough(task.score(logits))
    return CalibrationScores(
        calibration,
        error_before=metrics.calibration_error(before, correct),
        error_after=metrics.calibration_error(after, correct),
        answered=float(answered.mean()),
        top1_answered=float(correct[answered].mean()) if answered.any() else None,
        reliability=metrics.reliability(after, correct),
    )


def _accuracy_by_length(
    model: keras.Model, videos: PreparedDataset, config: RunConfig, split: Split
) -> list[LengthScore]:
    """Accuracy of one clip a video, of 1, 2, 4, ... up to all frames of a clip."""
    one_view = dataclasses.replace(config, clip=dataclasses.replace(config.clip, views=1))
    longest = config.clip.num_frames
    lengths = [*(2**power for power in range(10) if 2**power < longest), longest]
    found = []
    for length in lengths:
        predictions = predict(model, videos, one_view, split, most=length)
        correct = metrics.in_top_k(predictions.logits, predictions.targets, 1)
        found.append(LengthScore(length, float(correct.mean())))
    return found


def _order_test(predictions: dict[Order, Predictions], config: RunConfig) -> OrderScores:
    """Video accuracy with the frames in order, shuffled and reversed."""
    videos = {order: each.by_video() for order, each in predictions.items()}
    labels, names = videos["in_order"].targets, videos["in_order"].class_names
    logits = {order: each.logits for order, each in videos.items()}
    shares = {
        order: float(metrics.in_top_k(values, labels, 1).mean()) for order, values in logits.items()
    }
    pairs, found = config.evaluate.order_pairs, None
    if {names[label] for label in labels} & {name for pair in pairs for name in pair}:
        found = metrics.order_pairs(logits, labels, names, pairs)
    return OrderScores(**shares, pairs=found)


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
) -> RecordingResult:
    """Evaluates a run that answers at every frame: scores, statistics of bouts, a report.

    Args:
        run: A trained run.
        split: Which recordings.
        model: Its recogniser.
        data: Its data set.
        calibration: Of the run.
        bin_seconds: Length of the bins of time of `report/SPLIT_bouts.csv`; None: only whole
            recordings.
    """
    config, class_names = run.config(), run.class_names()
    found = keep_predictions(run, split, predict(model, data, config, split), calibration)
    recordings = found.recordings()
    result = dataclasses.replace(
        found.recording_scores(), calibration=calibration, leaks=data.leaks
    )
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
) -> LabelResult:
    """Evaluates a run that gives a video several labels."""
    found = keep_predictions(run, split, predict(model, data, run.config(), split), calibration)
    return dataclasses.replace(found.label_scores(), calibration=calibration, leaks=data.leaks)
