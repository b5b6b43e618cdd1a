"""The evaluation of a run: every video of a split, once."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.config import RunConfig
from pipeline.data.dataset import evaluation_clips
from pipeline.data.manifest import Split
from pipeline.data.sampling import Order
from pipeline.data.videos import Data, damage_named, open_data
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.evaluation.report import plot_confusion
from pipeline.models.recognizer import load_recognizer
from pipeline.run import Run

ORDERS: tuple[Order, ...] = ("in_order", "shuffled", "reversed")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model says of the videos of a split.

    Attributes:
        logits: float32 (V, N, C): views, videos, classes.
        labels: int64 (N,).
        videos: Path of each video.
        groups: Group of each video.
    """

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    videos: list[str]
    groups: list[str]

    @property
    def video_logits(self) -> npt.NDArray[np.float32]:
        """Mean logits (N, C) over the views of each video."""
        mean: npt.NDArray[np.float32] = self.logits.mean(axis=0)
        return mean


def evaluate(run: Run, split: Split = "test", *, data: Path | None = None) -> dict[str, Any]:
    """Evaluates a run on a split of its data set and writes metrics and report.

    Args:
        run: A trained run.
        split: Which videos.
        data: Where the data set is, if it was moved since the run was trained.

    Returns:
        What `metrics.json` then holds for the split.

    Raises:
        DataError: The run or its data set cannot be used, or the split has no videos.
        ConfigError: `evaluate.order_pairs` names a class that there is not.
    """
    config, class_names = run.config(), run.class_names()
    store = open_run_data(run, data)
    check_data(run, store)
    if split not in store.num_videos:
        raise DataError(f"{store.path} has no {split} videos. Prepare it with --{split}-fraction")
    config.check_classes(class_names)
    run.metrics()  # says at once if it is damaged
    model = load_recognizer(run.model_file, config, len(class_names))
    with damage_named(store):
        predictions = {order: predict(model, store, config, split, order=order) for order in ORDERS}
    result = summarise(predictions["in_order"], class_names)
    run.report.mkdir(exist_ok=True)
    if store.leaks:
        result["leaks"] = list(store.leaks)
    result["order"] = _order_test(predictions, class_names, config)
    _write_metrics(run, split, result)
    _write_predictions(run, split, predictions["in_order"], class_names)
    answers = predictions["in_order"].video_logits.argmax(axis=1)
    counts = metrics.confusion(answers, predictions["in_order"].labels, len(class_names))
    plot_confusion(counts, class_names, run.report / f"{split}_confusion.png")
    return result


def predict(
    model: keras.Model, store: Data, config: RunConfig, split: Split, *, order: Order = "in_order"
) -> Predictions:
    """Runs the model on every view of every video of a split; labels come from the same pass."""
    views = [
        _predict_view(model, store, config, split, view, order) for view in range(config.clip.views)
    ]
    return dataclasses.replace(views[0], logits=np.concatenate([each.logits for each in views]))


def summarise(predictions: Predictions, class_names: list[str]) -> dict[str, Any]:
    """Accuracy at video and at clip level, per class, with what chance would give."""
    labels, logits = predictions.labels, predictions.video_logits
    answers = logits.argmax(axis=1)
    interval = metrics.group_interval(answers == labels, predictions.groups)
    return {
        "video": {**_top(logits, labels), "top1_interval95": interval},
        "clip": _top(
            predictions.logits.reshape(-1, logits.shape[1]),
            np.tile(labels, len(predictions.logits)),
        ),
        "per_class": metrics.per_class(answers, labels, class_names),
        "num_videos": len(labels),
        "num_groups": len(set(predictions.groups)),
        "num_views": len(predictions.logits),
        "chance": metrics.chance(labels),
    }


def _top(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    return {f"top{k}": metrics.top_k_accuracy(logits, labels, k) for k in (1, 5)}


def open_run_data(run: Run, data: Path | None = None) -> Data:
    """Opens the videos that a run was trained with.

    Args:
        run: The run.
        data: Where they are, if they were moved since.

    Raises:
        DataError: They are not there.
    """
    config = run.config()
    path = data or Path(config.data)
    if not path.exists():
        raise DataError(
            f"{path}: the data set that the run was trained on is not there. Say where it is "
            "now: --data"
        )
    return open_data(path, config.frames, config.split)


def check_data(run: Run, data: Data) -> None:
    """Makes sure that videos are those that a run was trained with.

    Raises:
        DataError: They are not.
    """
    config = run.config()
    if list(data.class_names) != run.class_names():
        raise DataError(f"{data.path} has other classes than the run was trained on. Train again")
    if data.frames != config.frames:
        raise DataError(
            f"{data.path} was prepared anew with other frames than the run was trained on: "
            f"{data.frames} instead of {config.frames}. Train again"
        )
    if run.environment().get("data_fingerprint") != data.fingerprint:
        raise DataError(
            f"{data.path} was prepared anew since the run was trained: its test videos may "
            "have been in training. Train again"
        )


def _predict_view(
    model: keras.Model, store: Data, config: RunConfig, split: Split, view: int, order: Order
) -> Predictions:
    logits, labels, videos, groups = [], [], [], []
    for inputs, label, source in evaluation_clips(store, config, split, view=view, order=order):
        logits.append(model.predict_on_batch(inputs))
        labels.append(label.numpy())
        videos += [text.decode() for text in source["video"].numpy()]
        groups += [text.decode() for text in source["group"].numpy()]
    return Predictions(np.concatenate(logits)[None], np.concatenate(labels), videos, groups)


def _order_test(
    predictions: dict[Order, Predictions], class_names: list[str], config: RunConfig
) -> dict[str, Any]:
    """Video accuracy with the frames in order, shuffled and reversed."""
    labels = predictions["in_order"].labels
    logits = {order: each.video_logits for order, each in predictions.items()}
    result: dict[str, Any] = {
        order: metrics.top_k_accuracy(values, labels, 1) for order, values in logits.items()
    }
    pairs = config.evaluate.order_pairs
    if {class_names[label] for label in labels} & {name for pair in pairs for name in pair}:
        result["pairs"] = metrics.order_pairs(logits, labels, class_names, pairs)
    return result


def _write_metrics(run: Run, split: Split, result: dict[str, Any]) -> None:
    text = json.dumps({**run.metrics(), split: result}, indent=2, ensure_ascii=False)
    with atomic_write(run.metrics_file) as file:
        file.write(f"{text}\n".encode())


def _write_predictions(
    run: Run, split: Split, predictions: Predictions, class_names: list[str]
) -> None:
    """One line a video, by name: what it is, what the model says and how sure it is."""
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(predictions.video_logits))
    path = run.report / f"{split}_predictions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "group", "label", "predicted", "probability"])
        rows = zip(
            predictions.videos, predictions.groups, predictions.labels, probabilities, strict=True
        )
        for video, group, label, row in sorted(rows, key=lambda row: row[0]):
            answer = row.argmax()
            names = class_names[label], class_names[answer]
            writer.writerow([video, group, *names, f"{row[answer]:.4f}"])
