"""Answers of a run at every frame of the recordings of a split."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.sampling import frame_weights, grid_length, join_windows
from pipeline.dataset.videos import recordings_of
from pipeline.evaluation.predictions import expect_numbers
from pipeline.evaluation.recordings import Recording
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.frames import Frames


@dataclasses.dataclass(frozen=True, eq=False)
class FramePredictions:
    """Logits of the frames of a recording, with their labels.

    The frames are those that its clips are cut of, `clip.stride` apart.

    Attributes:
        name: The recording.
        group: Its group.
        logits: float32 (N, C), the mean over the windows that a frame lies in.
        labels: uint8 (N, C), 1 where a class holds, 0 where not, 255 where nothing is known.
    """

    name: str
    group: str
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]

    def judged_by(self, task: Frames, calibration: Calibration, fps: float) -> Recording:
        """What the run answers, as a timeline of the recording would; `fps` is that of frames."""
        probabilities = task.probabilities(self.logits, calibration.temperature)
        answers = task.answers(probabilities, calibration, fps)
        return Recording(self.name, self.group, fps, self.labels, probabilities, answers)


def predict_frames(
    model: keras.Model, data: PreparedDataset, config: RunConfig, split: Split
) -> list[FramePredictions]:
    """Runs the model on the recordings of a split, in windows that overlap by half.

    Raises:
        DataError: The model gives something that is no number.
    """
    weights = frame_weights(config.clip.num_frames, looks_back_only=config.temporal.looks_back_only)
    windows = _windows(model, data, config, split)
    by_name = itertools.groupby(windows, key=lambda window: window["video"])
    found = []
    for record, (_, of_recording) in zip(recordings_of(data, split), by_name, strict=True):
        num_frames = grid_length(record.num_frames, config.clip)
        labels = np.empty((num_frames, len(data.class_names)), np.uint8)
        answers = _answers(of_recording, labels)
        logits = join_windows(answers, num_frames, weights)
        found.append(FramePredictions(record.name, record.row.group, logits, labels))
    expect_numbers([each.logits for each in found], config)
    return found


def _answers(
    windows: Iterable[dict[str, Any]], labels: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yields where each window starts and its logits; puts its labels in their place."""
    for window in windows:
        start, real = window["start"], int(window["mask"].sum())
        labels[start : start + real] = window["labels"][:real]
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
