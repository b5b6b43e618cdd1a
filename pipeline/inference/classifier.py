"""Classifying video files with a trained run, without TensorFlow."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.frames import encode_video
from pipeline.data.sampling import sample_clip
from pipeline.errors import DataError
from pipeline.evaluation.calibration import read_calibration
from pipeline.inference.litert import LiteRTModel
from pipeline.run import Run
from pipeline.video import decode_flow, decode_jpeg

UNKNOWN = "unknown"
"""The label of a video that shows none of the classes, as far as can be told."""

_DECODE = {"frames": decode_jpeg, "flow": decode_flow}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a video shows, most probable class first.

    Attributes:
        path: The video file.
        label: The most probable class, or `unknown` where that is less probable than the threshold
            of the run.
        known: Whether it is a class.
        probability: The calibrated probability of the most probable class, 0 to 1.
        top: Pairs of class name and probability, in falling order.
        num_frames: Frames that the file holds.
        fps: Its frames per second.
        duration_seconds: Its length.
        damaged: Whether clearly fewer frames decode than it declares.
    """

    path: str
    label: str
    known: bool
    probability: float
    top: tuple[tuple[str, float], ...]
    num_frames: int | None
    fps: float
    duration_seconds: float
    damaged: bool

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        top = [{"label": label, "probability": value} for label, value in self.top]
        return {**dataclasses.asdict(self), "top": top}


class Classifier:
    """A trained run, ready to classify.

    Args:
        run: The run; only its own folder is read.

    Raises:
        DataError: The run was not trained or not exported.
    """

    def __init__(self, run: Run) -> None:
        self.config = run.config()
        self.class_names = run.class_names()
        flow = "flow" in self.config.model.images
        self._frames = dataclasses.replace(self.config.frames, flow=flow)
        run.expect(
            run.litert_file,
            make=f"Export it: python scripts/export.py {shlex.quote(str(run.folder))}",
        )
        self._calibration = read_calibration(run)
        self._model = LiteRTModel(run.litert_file)
        size, length = self.config.frames.size, self.config.clip.num_frames
        shapes = dict.fromkeys(self.config.model.images, (length, size, size, 3))
        if self._model.input_shapes != {**shapes, "mask": (length,)}:
            raise DataError(
                f"{run.litert_file}: does not fit the config.toml beside it. Train again"
            )
        if self._model.num_classes != len(self.class_names):
            raise DataError(
                f"{run.class_names_file}: expected {self._model.num_classes} names, as many as "
                f"the model tells apart, got {len(self.class_names)}. Train again"
            )

    def predict(self, path: str | Path, *, top: int = 5) -> Prediction:
        """Classifies one video file.

        The frames, and their flow where the model takes it, go the way of the prepared data set,
        JPEG included, and the clip is cut by the same code, so that the answer is the one that
        evaluation gives.

        Args:
            path: The video file.
            top: Number of classes to report; more than there are counts as all.

        Raises:
            VideoDecodeError: No frame can be had from the file.
        """
        images, info = encode_video(path, self._frames)
        probabilities = self._calibration.probabilities(self._logits(images))
        best = np.argsort(-probabilities, kind="stable")[:top]
        ranked = tuple((self.class_names[i], float(probabilities[i])) for i in best)
        known = ranked[0][1] >= self._calibration.threshold
        return Prediction(
            path=str(path),
            label=ranked[0][0] if known else UNKNOWN,
            known=known,
            probability=ranked[0][1],
            top=ranked,
            num_frames=info.num_frames,
            fps=info.fps,
            duration_seconds=info.duration_seconds,
            damaged=info.damaged,
        )

    def _logits(self, images: Mapping[str, list[bytes]]) -> npt.NDArray[np.float32]:
        """Mean logits (C,) over the views of a video."""
        views = []
        for view in range(self.config.clip.views):
            indices, mask = sample_clip(len(images["frames"]), self.config.clip, view=view)
            clip = {
                name: np.stack([_DECODE[name](images[name][index]) for index in indices])
                for name in self.config.model.images
            }
            views.append(self._model.logits({**clip, "mask": mask}))
        mean: npt.NDArray[np.float32] = np.mean(views, axis=0)
        return mean
