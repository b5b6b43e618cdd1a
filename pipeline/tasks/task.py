"""The choice of a model's task."""

from __future__ import annotations

from pipeline.config import ModelConfig
from pipeline.tasks.single_label import SingleLabel

Task = SingleLabel
"""What is asked of a video. There is one kind yet; of several, this is any of them."""


def task_of(model: ModelConfig) -> Task:
    """The task that a model is for."""
    tasks = {"single_label": SingleLabel}
    return tasks[model.task]()
