"""An answer at every frame: what each frame of a recording shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.manifest.annotation import IGNORED_LABEL
from pipeline.tasks.bouts import runs_of, without_short, without_short_exclusive
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.multi_label import MultiLabel

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Floats = npt.NDArray[np.floating[Any]]

IGNORED_TARGET: Final = -1.0
"""What stands for a class in the targets of a frame where nobody knows whether it holds."""


class Frames:
    """The question of another task, asked at every frame.

    Args:
        each: `MultiClass`: one of the classes holds at a frame, and no other one then; of a frame
            at which several are said to hold, nothing is known. `MultiLabel`: any of them, and
            what is known of one says nothing of the others.
    """

    def __init__(self, each: MultiClass | MultiLabel) -> None:
        self.each = each

    def targets(self, labels: tf.Tensor, num_classes: int, smoothing: float = 0.0) -> tf.Tensor:
        """Targets float32 (B, T, C), -1 where nothing is known.

        Args:
            labels: uint8 (B, T, C), 1 for the classes that hold, or 255 where that is not known.
            num_classes: C.
            smoothing: As for the other task.
        """
        import tensorflow as tf

        if isinstance(self.each, MultiClass):
            holds = tf.cast(labels == 1, tf.int32)
            known = tf.reduce_sum(holds, axis=-1, keepdims=True) == 1
            asked = tf.argmax(holds, axis=-1)
        else:
            known = labels != IGNORED_LABEL
            asked = labels
        targets = self.each.targets(asked, num_classes, smoothing)
        return tf.where(known, targets, IGNORED_TARGET)

    def loss(self, transition_penalty: float = 0.0) -> keras.losses.Loss:
        """The mean loss of a frame, see `pipeline.tasks.frame_loss`."""
        from pipeline.tasks.frame_loss import FrameLoss

        return FrameLoss(exclusive=self.is_exclusive, transition_penalty=transition_penalty)

    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics shown of each epoch besides the loss; the first is called `accuracy`."""
        from pipeline.tasks.frame_loss import FrameAccuracy

        return [FrameAccuracy(exclusive=self.is_exclusive, name="accuracy")]

    @property
    def metric_title(self) -> str:
        """See the other task."""
        return self.each.metric_title

    def known(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Of which frames all is known, bool (N,), of labels (N, C), see `targets`."""
        if self.is_exclusive:
            return np.asarray((labels == 1).sum(axis=1) == 1)
        return np.asarray((labels != IGNORED_LABEL).all(axis=1))

    @property
    def is_exclusive(self) -> bool:
        """Whether one class at most holds at a frame."""
        return isinstance(self.each, MultiClass)

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> npt.NDArray[np.float64]:
        """See the other task."""
        return self.each.probabilities(logits, temperature)

    def holds(self, probabilities: Floats, thresholds: Floats | float) -> npt.NDArray[np.bool_]:
        """See the other task."""
        return self.each.holds(probabilities, thresholds)

    def answers(
        self, probabilities: Floats, calibration: Calibration, fps: float
    ) -> npt.NDArray[np.bool_]:
        """The classes that hold at each frame of a recording, bool (N, C).

        Args:
            probabilities: float (N, C).
            calibration: Says what is probable enough, and how short a bout may be.
            fps: Frames per second.
        """
        holds = self.holds(probabilities, calibration.class_thresholds)
        answers = np.zeros_like(holds)
        bouts = self.bouts(holds.T, probabilities, calibration, fps)
        for column, of_class in zip(answers.T, bouts, strict=True):
            for start, end in of_class:
                column[start:end] = True
        return answers

    def bouts(
        self,
        holds: Iterable[npt.NDArray[np.bool_]],
        probabilities: Floats,
        calibration: Calibration,
        fps: float,
    ) -> Iterator[npt.NDArray[np.integer[Any]]]:
        """Yields the bouts of each class in a recording, see `pipeline.tasks.bouts.runs_of`.

        Args:
            holds: Of each class, where it is probable enough, bool (N,).
            probabilities: float (N, C).
            calibration: Says how short a bout may be.
            fps: Frames per second.
        """
        num_classes = probabilities.shape[1]
        least, gap = (
            np.rint(np.array(seconds or [0.0] * num_classes) * fps).astype(np.int64)
            for seconds in (calibration.least_seconds, calibration.gap_seconds)
        )
        if not self.is_exclusive:
            for column, shortest, closest in zip(holds, least, gap, strict=True):
                yield without_short(runs_of(column), shortest, closest)
            return
        labels = np.zeros(len(probabilities), np.int32)
        for number, column in enumerate(holds):
            labels[column] = number
        kept = without_short_exclusive(labels, probabilities, np.append(least, 0))
        for number in range(num_classes):
            yield runs_of(kept == number)

    def score(self, logits: Floats) -> npt.NDArray[np.float64]:
        """See the other task."""
        return self.each.score(logits)
