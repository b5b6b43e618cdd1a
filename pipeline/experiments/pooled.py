"""What the models of all folds say together: each video was tested once."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.config import ModelConfig
from pipeline.evaluation import metrics
from pipeline.evaluation.frame_scores import score_recordings, video_scores
from pipeline.evaluation.intervals import accuracy_interval
from pipeline.evaluation.plots import plot_confusion
from pipeline.evaluation.recordings import read_recordings
from pipeline.tasks.frames import Frames
from pipeline.tasks.task import task_of


@dataclasses.dataclass(frozen=True)
class Answers:
    """What was answered for each video, by the model of a fold that did not see it.

    Attributes:
        videos: Path of each video.
        groups: Group of each.
        labels: int64 (N,).
        answers: int64 (N,), the most probable class of each.
    """

    videos: list[str]
    groups: list[str]
    labels: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Videos that were answered rightly, bool (N,)."""
        correct: npt.NDArray[np.bool_] = self.answers == self.labels
        return correct


def pooled_scores(folder: Path, model: ModelConfig, class_names: Sequence[str]) -> dict[str, Any]:
    """Scores of all test videos of all folds.

    Args:
        folder: Of the cross-validation. Of task video, `confusion.png` is written there.
        model: The network of its runs, of which the task is known.
        class_names: C names.

    Returns:
        What `evaluate` returns for the same task, as far as it is about what was answered. Of task
        video: `video` with `top1` and its interval, `per_class`, `chance`, `num_videos` and
        `num_groups`.
    """
    task = task_of(model)
    if isinstance(task, Frames):
        paths = sorted(folder.glob("fold-*/report/test_frames.npz"))
        recordings = [each for path in paths for each in read_recordings(path)]
        exclusive, background = task.is_exclusive, model.background
        return score_recordings(recordings, class_names, background=background, exclusive=exclusive)
    if model.multilabel:
        return {"videos": _label_scores(folder, class_names)}
    answers = read_answers(folder, class_names)
    counts = metrics.confusion(answers.answers, answers.labels, len(class_names))
    plot_confusion(counts, class_names, folder / "confusion.png")
    correct, groups = answers.correct, answers.groups
    return {
        "video": {
            "top1": float(correct.mean()),
            "top1_interval95": accuracy_interval(correct, groups),
        },
        "per_class": metrics.per_class(answers.answers, answers.labels, class_names),
        "chance": metrics.chance(answers.labels),
        "num_videos": len(correct),
        "num_groups": len(set(groups)),
    }


def read_answers(folder: Path, class_names: Sequence[str]) -> Answers:
    """Reads what the models of all folds said of their test videos, of task video."""
    rows = list(_rows(folder))
    index = {name: number for number, name in enumerate(class_names)}
    return Answers(
        videos=[row.video for row in rows],
        groups=[row.group for row in rows],
        labels=np.array([index[row.label] for row in rows], np.int64),
        answers=np.array([index[row.predicted] for row in rows], np.int64),
    )


def _label_scores(folder: Path, class_names: Sequence[str]) -> dict[str, Any]:
    rows = list(_rows(folder))
    labels, answers = (
        np.array([[name in cell.split(";") for name in class_names] for cell in cells])
        for cells in ([row.label for row in rows], [row.predicted for row in rows])
    )
    probabilities = np.array([row.others for row in rows], float)
    groups = [row.group for row in rows]
    return video_scores(labels.astype(np.int64), probabilities, answers, groups, class_names)


class _Row(NamedTuple):
    """A line of `report/test_predictions.csv`."""

    video: str
    group: str
    label: str
    predicted: str
    others: list[str]


def _rows(folder: Path) -> Iterator[_Row]:
    for path in sorted(folder.glob("fold-*/report/test_predictions.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            _, *lines = csv.reader(file)
        for video, group, label, predicted, *others in lines:
            yield _Row(video, group, label, predicted, others)
