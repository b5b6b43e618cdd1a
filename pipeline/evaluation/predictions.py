"""Predictions: what a model says of the videos of a split, beside what is true."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.config.model import ModelConfig
from pipeline.errors import DataError
from pipeline.evaluation import metrics
from pipeline.evaluation.frame_scores import video_scores
from pipeline.evaluation.recordings import Recording
from pipeline.evaluation.results import (
    LabelResult,
    RecordingResult,
    Scores,
    VideoScores,
    score_recordings,
)
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.tasks.calibration import Calibration, read_calibration
from pipeline.tasks.frames import Frames
from pipeline.tasks.task import Task, task_of

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]

_OF_ROWS: Final = ("logits", "targets", "valid", "video", "answers")
_OF_VIDEOS: Final = ("names", "groups")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Logits and targets of the N clips or videos of a split, or of the N frames of recordings.

    The rows of a video lie one after the other, and videos in the order of their names.

    Attributes:
        logits: float (N, C); as the network gives them, or calibrated.
        targets: int64 (N,), numbers of classes; uint8 (N, C), 0 or 1, where several may hold, and
            of frames, where 255 is a class of which nothing is known.
        valid: bool (N,), whether all is known of a row; others are not judged.
        video: int64 (N,), the number of the video that a row is of, from 0.
        names: Of the V videos or recordings.
        groups: Of each.
        class_names: C names.
        model: The network, of which the task is known.
        fps: Rows a second of a recording; 0: of whole videos.
        answers: bool (N, C), which classes are answered; of logits that are not calibrated, none.
    """

    logits: Floats
    targets: Integers
    valid: Bools
    video: npt.NDArray[np.int64]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    class_names: tuple[str, ...]
    model: ModelConfig
    fps: float = 0.0
    answers: Bools = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    @property
    def task(self) -> Task:
        """What was asked."""
        return task_of(self.model)

    @property
    def start_seconds(self) -> npt.NDArray[np.float64]:
        """When the frames of recordings begin, (N,); of whole videos, 0."""
        place = np.arange(len(self.video)) - self._starts[self.video]
        return place / self.fps if self.fps else np.zeros(len(place))

    @property
    def row_groups(self) -> list[str]:
        """The group of each row."""
        return [self.groups[number] for number in self.video]

    @property
    def correct(self) -> Bools:
        """Of classes that exclude each other: which rows are answered rightly, bool (N,)."""
        return np.asarray(self.answers.argmax(axis=1) == self.targets)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Of each class, (N, C)."""
        return self.task.probabilities(self.logits)

    @property
    def known(self) -> tuple[Floats, Integers]:
        """Logits and targets of the valid rows.

        Targets of frames are as those of videos: numbers of classes, (K,), or 0 and 1, (K, C).
        """
        targets, task = self.targets[self.valid], self.task
        if isinstance(task, Frames) and task.is_exclusive:
            targets = (targets == 1).argmax(axis=1)
        return self.logits[self.valid], targets

    @property
    def _starts(self) -> npt.NDArray[np.int64]:
        """The first row of each video, (V,)."""
        return np.searchsorted(self.video, np.arange(len(self.names)))

    def of_each(self, rows: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Something of each row, (N, ...), by video."""
        return np.split(rows, self._starts[1:])

    def by_video(self) -> Predictions:
        """Of whole videos: the mean of the logits of the clips of each."""
        starts = self._starts
        counts = np.diff([*starts, len(self.video)])
        mean = np.add.reduceat(self.logits, starts) / counts[:, None].astype(self.logits.dtype)
        return dataclasses.replace(
            self,
            logits=mean,
            targets=self.targets[starts],
            valid=self.valid[starts],
            video=np.arange(len(starts)),
        )

    def calibrated(self, calibration: Calibration) -> Predictions:
        """The same with logits that a temperature divided, and with answers."""
        task, shares = self.task, self.task.probabilities(self.logits, calibration.temperature)
        if isinstance(task, Frames):
            each = [task.answers(part, calibration, self.fps) for part in self.of_each(shares)]
            answers = np.concatenate(each)
        else:
            answers = task.holds(shares, calibration.class_thresholds)
        return dataclasses.replace(self.divided(calibration.temperature), answers=answers)

    def divided(self, temperature: float) -> Predictions:
        """The same answers, more or less sure."""
        logits = np.asarray(self.logits, np.float64) / temperature
        return dataclasses.replace(self, logits=logits)

    def fit_temperature(self) -> float:
        """What the logits are best divided by, fitted on the valid rows."""
        return self.task.each.fit_temperature(*self.known)

    def recordings(self) -> list[Recording]:
        """Calibrated predictions as what is true and answered of each recording."""
        parts = map(self.of_each, (self.targets, self.probabilities, self.answers))
        pairs = zip(self.names, self.groups, *parts, strict=True)
        return [Recording(name, group, self.fps, *each) for name, group, *each in pairs]

    def scores(self) -> Scores:
        """The scores of calibrated predictions, whatever was asked."""
        if self.model.per_frame:
            return self.recording_scores()
        return self.label_scores() if self.model.multilabel else self.video_scores()

    def video_scores(self) -> VideoScores:
        """The scores of videos with one label each."""
        return VideoScores(
            video=metrics.accuracy(self.logits, self.targets, self.groups),
            per_class=metrics.per_class(
                self.answers.argmax(axis=1), self.targets, self.class_names
            ),
            chance=metrics.chance(self.targets),
            num_videos=len(self.names),
            num_groups=len(set(self.groups)),
        )

    def label_scores(self) -> LabelResult:
        """The scores of videos that may have several labels each."""
        each = (self.targets, self.probabilities, self.answers, self.groups)
        return LabelResult(videos=video_scores(*each, self.class_names))

    def recording_scores(self) -> RecordingResult:
        """The scores of answers at every frame."""
        return score_recordings(
            self.recordings(),
            self.class_names,
            background=self.model.background,
            exclusive=not self.model.multilabel,
        )


def in_order(predictions: Predictions) -> Predictions:
    """The same with the videos in the order of their names."""
    order = sorted(range(len(predictions.names)), key=predictions.names.__getitem__)
    place = np.argsort(order)[predictions.video]
    rows = np.argsort(place, kind="stable")
    moved: dict[str, Any] = {
        name: tuple(getattr(predictions, name)[number] for number in order) for name in _OF_VIDEOS
    }
    for name in _OF_ROWS:
        if len(array := getattr(predictions, name)):
            moved[name] = array[rows]
    return dataclasses.replace(predictions, **{**moved, "video": place[rows]})


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of several runs of one kind, each for videos of its own."""
    found: dict[str, Any] = {
        name: sum((getattr(part, name) for part in parts), ()) for name in _OF_VIDEOS
    }
    found |= {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_ROWS}
    before = np.cumsum([0, *(len(part.names) for part in parts[:-1])])
    found["video"] = np.concatenate(
        [part.video + first for part, first in zip(parts, before, strict=True)]
    )
    return in_order(dataclasses.replace(parts[0], **found))


def predictions_file(run: Run, split: Split) -> Path:
    """The file in the report of a run that holds its predictions for a split."""
    return run.report / f"{split}_predictions.npz"


def write_predictions(run: Run, split: Split, predictions: Predictions) -> None:
    """Keeps the raw logits for a split, with `start_seconds` and all that a `Predictions` has."""
    run.report.mkdir(exist_ok=True)
    names = ("logits", "targets", "valid", "video", "start_seconds", *_OF_VIDEOS, "class_names")
    arrays: dict[str, Any] = {name: np.asarray(getattr(predictions, name)) for name in names}
    model = predictions.model
    arrays |= {"task": model.task, "background": model.background, "fps": predictions.fps}
    with atomic_write(predictions_file(run, split)) as file:
        np.savez_compressed(file, **arrays)


def read_predictions(run: Run, split: Split) -> Predictions:
    """Reads what `write_predictions` wrote; the logits are those of the network.

    Raises:
        DataError: The file is missing, damaged, or of another version.
    """
    path = predictions_file(run, split)
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            found: dict[str, Any] = {name: file[name] for name in _OF_ROWS if name != "answers"}
            for name in (*_OF_VIDEOS, "class_names"):
                found[name] = tuple(file[name].tolist())
            texts: Any = {name: str(file[name]) for name in ("task", "background")}
            return Predictions(**found, model=ModelConfig(**texts), fps=float(file["fps"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        problem = "damaged, or of another version" if path.exists() else "missing"
        raise DataError(f"{path}: {problem}. Evaluate again") from None


def calibrated_predictions(run: Run, split: Split) -> Predictions:
    """What a run answered for the videos, or the recordings, of a split.

    Raises:
        DataError: The file is missing, damaged, or of another version.
    """
    found = read_predictions(run, split)
    found = found if found.model.per_frame else found.by_video()
    return found.calibrated(read_calibration(run))
