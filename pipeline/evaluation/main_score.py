"""The one score by which runs of a task are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.config.model import TaskName


class MainScore(NamedTuple):
    """Where it is in what `evaluate` returns, and its title.

    Attributes:
        level: `video`, `videos` or `frames`.
        name: Of the score; 0 to 1, the higher the better.
        title: In words.

    Example:
        >>> main_score("frames").of({"frames": {"accuracy": 0.9}})
        0.9
    """

    level: str
    name: str
    title: str

    def of(self, result: Mapping[str, Any]) -> float | None:
        """Its value, from what `evaluate` returns; None where no class is there."""
        value: float | None = result[self.level][self.name]
        return value

    def text(self, value: float | None) -> str:
        """A value of it with its title, such as `top-1 0.912`."""
        return f"{self.title} {'–' if value is None else format(value, '.3f')}"


def main_score(task: TaskName) -> MainScore:
    """The main score of a task that is known, not `auto`."""
    scores: dict[TaskName, tuple[str, str, str]] = {
        "video": ("video", "top1", "top-1"),
        "video-multilabel": ("videos", "mean_average_precision", "mean average precision"),
        "frames": ("frames", "accuracy", "accuracy"),
        "frames-multilabel": ("frames", "mean_average_precision", "mean average precision"),
    }
    return MainScore(*scores[task])
