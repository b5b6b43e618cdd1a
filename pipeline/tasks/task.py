"""The choice of a model's task."""

from __future__ import annotations

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError
from pipeline.tasks.frames import Frames
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.multi_label import MultiLabel

Task = MultiClass | MultiLabel | Frames
"""What is asked of a video, or of each of its frames."""


def task_of(model: ModelConfig) -> Task:
    """The task that a model is for."""
    each = MultiLabel() if model.multilabel else MultiClass()
    return Frames(each) if model.per_frame else each


def multi_class_task_of(model: ModelConfig) -> MultiClass:
    """The task of a model that gives a video one of its classes.

    Raises:
        ConfigError: It is for another task.
    """
    task = task_of(model)
    if not isinstance(task, MultiClass):
        raise ConfigError(f"this is for runs of task video, not of {model.task}")
    return task
