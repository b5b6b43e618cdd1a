"""What runs answered for the videos of a split, as their reports keep it."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.config import ModelConfig
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.evaluation.frame_scores import score_recordings, video_scores
from pipeline.evaluation.intervals import accuracy_interval
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.recordings import Recording, read_recordings
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration
from pipeline.tasks.frames import Frames
from pipeline.tasks.independent import Independent
from pipeline.tasks.task import task_of

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

_LEAST: Final = 1e-7
"""A probability that a table shows as 0 is taken for this, and one of 1 for as much less."""
_FIRST: Final = ("video", "group", "label", "predicted")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """What was answered for the N videos of a split, or the N frames of its recordings.

    Attributes:
        names: Of each video or recording.
        groups: Group of each.
        labels: int64 (N,); where there may be several, and of frames, uint8 (N, C), 255 where
            nothing is known.
        logits: float64 (N, C), calibrated: with a temperature of 1 they give the probabilities.
        holds: bool (N, C), which classes are the answer.
        num_frames: Frames of each recording, which lie one after the other; empty for videos.
        fps: Frames a second of recordings; 0 for videos.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    labels: Labels
    logits: Floats
    holds: Bools
    num_frames: tuple[int, ...] = ()
    fps: float = 0.0

    @property
    def correct(self) -> Bools:
        """Of classes that exclude each other: which videos were answered rightly, bool (N,)."""
        return np.asarray(self.holds.argmax(axis=1) == self.labels)

    def answered(self, logits: Floats, calibration: Calibration, model: ModelConfig) -> Answers:
        """The same videos with other answers, of logits (N, C) before their calibration."""
        task = task_of(model)
        shares = task.probabilities(logits, calibration.temperature)
        if isinstance(task, Frames):
            parts = np.split(shares, np.cumsum(self.num_frames)[:-1])
            holds = np.concatenate([task.answers(part, calibration, self.fps) for part in parts])
        else:
            holds = task.holds(shares, calibration.class_thresholds)
        scaled = np.asarray(logits, np.float64) / calibration.temperature
        return dataclasses.replace(self, logits=scaled, holds=holds)

    def by_name(self) -> Answers:
        """The same, in the order of the names of videos or recordings."""
        order = np.array(sorted(range(len(self.names)), key=lambda i: self.names[i]), np.int64)
        rows = order
        if self.num_frames:
            ends = np.cumsum(self.num_frames)
            rows = np.concatenate([np.arange(ends[i] - self.num_frames[i], ends[i]) for i in order])
        moved: dict[str, Any] = {
            name: tuple(values[i] for i in order) if (values := getattr(self, name)) else ()
            for name in ("names", "groups", "num_frames")
        }
        moved |= {name: getattr(self, name)[rows] for name in ("labels", "logits", "holds")}
        return dataclasses.replace(self, **moved)

    def known(self, model: ModelConfig) -> tuple[Bools, Labels]:
        """Of which videos or frames something is known, bool (N,); and their labels.

        The labels are as those of videos of the same kind: int (K,), or 0 and 1, (K, C).
        """
        task = task_of(model)
        if not isinstance(task, Frames):
            return np.ones(len(self.labels), np.bool_), self.labels
        known = task.known(self.labels.astype(np.uint8))
        found = self.labels[known]
        return known, (found == 1).argmax(axis=1) if task.is_exclusive else found

    def temperature(self, model: ModelConfig) -> float:
        """What the logits are best divided by, fitted on these videos."""
        known, labels = self.known(model)
        task = task_of(model)
        each = task.each if isinstance(task, Frames) else task
        return each.fit_temperature(self.logits[known], labels)

    def divided(self, temperature: float) -> Answers:
        """The same answers, more or less sure."""
        return dataclasses.replace(self, logits=self.logits / temperature)

    def recordings(self, model: ModelConfig) -> list[Recording]:
        """The recordings whose frames these are."""
        shares = task_of(model).probabilities(self.logits)
        ends = np.cumsum(self.num_frames)[:-1]
        parts = [np.split(each, ends) for each in (self.labels, shares, self.holds)]
        pairs = zip(self.names, self.groups, *parts, strict=True)
        return [Recording(name, group, self.fps, *each) for name, group, *each in pairs]

    def scores(self, model: ModelConfig, class_names: Sequence[str]) -> dict[str, Any]:
        """What `evaluate` returns for the same task, as far as it is about what was answered.

        Of task video: `video` with `top1` and its interval, `per_class`, `chance`, `num_videos`
        and `num_groups`.
        """
        if model.per_frame:
            exclusive, background = not model.multilabel, model.background
            recordings = self.recordings(model)
            return score_recordings(
                recordings, class_names, background=background, exclusive=exclusive
            )
        if model.multilabel:
            shares = Independent().probabilities(self.logits)
            each = (self.labels, shares, self.holds, self.groups)
            return {"videos": video_scores(*each, class_names)}
        return {
            "video": {
                "top1": float(self.correct.mean()),
                "top1_interval95": accuracy_interval(self.correct, self.groups),
            },
            "per_class": metrics.per_class(self.holds.argmax(axis=1), self.labels, class_names),
            "chance": metrics.chance(self.labels),
            "num_videos": len(self.labels),
            "num_groups": len(set(self.groups)),
        }


def answers_file(run: Run, split: Split, model: ModelConfig) -> Path:
    """The file in the report of a run that holds its answers, once it was evaluated on a split."""
    return run.report / f"{split}_{'frames.npz' if model.per_frame else 'predictions.csv'}"


def answers_of(predictions: Predictions, calibration: Calibration, model: ModelConfig) -> Answers:
    """What a run says of videos, by its logits before their calibration."""
    logits = predictions.video_logits
    answers = Answers(
        names=tuple(predictions.videos),
        groups=tuple(predictions.groups),
        labels=predictions.labels,
        logits=logits,
        holds=np.zeros(logits.shape, np.bool_),
    )
    return answers.answered(logits, calibration, model).by_name()


def write_answers(
    path: Path,
    answers: Answers,
    model: ModelConfig,
    class_names: Sequence[str],
    calibration: Calibration,
) -> None:
    """Writes answers for videos as a table, a line each: what it is, and what the model says.

    Where classes exclude each other, `probability` is that of the answer and `max_logit` its score,
    before calibration; then comes the probability of every class.
    """
    names, one = np.array(class_names), not model.multilabel
    shares = task_of(model).probabilities(answers.logits)
    scores = answers.logits.max(axis=1) * calibration.temperature
    labels = answers.labels[:, None] == np.arange(len(names)) if one else answers.labels == 1
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_FIRST, *(("probability", "max_logit") if one else ()), *class_names])
    for i, name in enumerate(answers.names):
        row = [name, answers.groups[i], *(";".join(names[e[i]]) for e in (labels, answers.holds))]
        row += [f"{shares[i].max():.4f}", f"{scores[i]:.4f}"] if one else []
        writer.writerow([*row, *(f"{share:.6g}" for share in shares[i])])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode(errors="backslashreplace"))


def read_answers(
    runs: Sequence[Run], split: Split, model: ModelConfig, class_names: Sequence[str]
) -> Answers:
    """Reads the answers of runs of one kind for their videos, such as those of all folds.

    Args:
        runs: Evaluated on the split.
        split: Which videos of each.
        model: The network of the runs, of which the task is known.
        class_names: C names.

    Raises:
        DataError: A file is missing, damaged, or of another version.
    """
    read = _of_recordings if model.per_frame else _of_videos
    found = []
    for run in runs:
        path = answers_file(run, split, model)
        try:
            found.append(read(path, run, model, class_names))
        except (OSError, ValueError, KeyError, csv.Error):
            problem = "damaged, or of another version" if path.exists() else "missing"
            raise DataError(f"{path}: {problem}. Evaluate again") from None
    return joined(found)


def joined(parts: Sequence[Answers]) -> Answers:
    """The answers of several runs for videos of their own."""
    found: dict[str, Any] = {
        name: tuple(itertools.chain.from_iterable(getattr(part, name) for part in parts))
        for name in ("names", "groups", "num_frames")
    }
    for name in ("labels", "logits", "holds"):
        found[name] = np.concatenate([getattr(part, name) for part in parts])
    return dataclasses.replace(parts[0], **found)


def _of_videos(path: Path, run: Run, model: ModelConfig, class_names: Sequence[str]) -> Answers:
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    first = len(head) - len(class_names)
    if head[first:] != list(class_names) or head[:4] != list(_FIRST) or not rows:
        raise ValueError("another table")
    columns = list(zip(*rows, strict=True))
    labels, holds = (
        np.array([[name in _names(cell, model) for name in class_names] for cell in cells])
        for cells in columns[2:4]
    )
    if not (model.multilabel or labels.any(axis=1).all()):
        raise ValueError("labels of other classes")
    shares = np.clip(np.array(columns[first:], float).T, _LEAST, 1 - _LEAST)
    logits = np.log(shares)
    if model.multilabel:
        logits -= np.log1p(-shares)
    else:  # Probabilities do not tell how high the logits were.
        highest = np.array(columns[5], float) / read_calibration(run).temperature
        logits += (highest - logits.max(axis=1))[:, None]
    return Answers(
        names=columns[0],
        groups=columns[1],
        labels=labels.astype(np.uint8) if model.multilabel else labels.argmax(axis=1),
        logits=logits,
        holds=holds,
    )


def _names(cell: str, model: ModelConfig) -> list[str]:
    return cell.split(";") if model.multilabel else [cell]


def _of_recordings(path: Path, run: Run, model: ModelConfig, class_names: Sequence[str]) -> Answers:
    del run, class_names
    recordings = read_recordings(path)
    shares = np.concatenate([each.probabilities for each in recordings]).astype(float)
    shares = np.clip(shares, _LEAST, 1 - _LEAST)
    return Answers(
        names=tuple(each.name for each in recordings),
        groups=tuple(each.group for each in recordings),
        labels=np.concatenate([each.labels for each in recordings]),
        logits=np.log(shares) - (np.log1p(-shares) if model.multilabel else 0),
        holds=np.concatenate([each.answers for each in recordings]),
        num_frames=tuple(len(each.labels) for each in recordings),
        fps=recordings[0].fps,
    )
