"""The choice of a model's task."""

from __future__ import annotations

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.frames import Frames
from pipeline.tasks.independent import Independent

Task = Exclusive | Independent | Frames
"""What is asked of a video, or of each of its frames."""


def task_of(model: ModelConfig) -> Task:
    """The task that a model is for."""
    each = Independent() if model.multilabel else Exclusive()
    return Frames(each) if model.per_frame else each


def exclusive_task_of(model: ModelConfig) -> Exclusive:
    """The task of a model that gives a video one of its classes.

    Raises:
        ConfigError: It is for another task.
    """
    task = task_of(model)
    if not isinstance(task, Exclusive):
        raise ConfigError(f"this is for runs of task video, not of {model.task}")
    return task
