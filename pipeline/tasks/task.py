"""What every task can do, and which one a model was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.config import ModelConfig
from pipeline.tasks.single_label import SingleLabel

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


class Task(Protocol):
    """What is asked of a video; see `pipeline.tasks.single_label.SingleLabel` for each method."""

    def targets(self, labels: tf.Tensor, num_classes: int, smoothing: float = 0.0) -> tf.Tensor:
        """What the logits of a batch are compared with, float32 (B, C)."""

    def loss(self) -> keras.losses.Loss:
        """From targets and logits, (B, C), to a number for each clip."""

    def metrics(self) -> list[keras.metrics.Metric]:
        """What is shown of each epoch besides the loss; the first is called `accuracy`."""

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> npt.NDArray[np.float64]:
        """The probability of each class, float64 (..., C)."""

    def answers(self, logits: Floats) -> npt.NDArray[np.int64]:
        """What the video shows, by the number of the class."""

    def is_right(self, logits: Floats, labels: Labels) -> npt.NDArray[np.bool_]:
        """Whether the answers are the labels."""

    def score(self, logits: Floats) -> npt.NDArray[np.float64]:
        """How sure it is that the video shows any of the classes; below a threshold: none."""

    def fit_temperature(self, logits: Floats, labels: Labels) -> float:
        """What to divide logits by, so that probabilities are shares of right answers."""


def task_of(model: ModelConfig) -> Task:
    """The task that a model is for."""
    tasks: dict[str, Task] = {"single_label": SingleLabel()}
    return tasks[model.task]
