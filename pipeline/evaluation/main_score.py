"""The one score by which runs of a task are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.config.model import TaskName


class MainScore(NamedTuple):
    """Where it is in what `evaluate` returns.

    Attributes:
        level: `video`, `videos` or `frames`.
        name: Of the score; 0 to 1, the higher the better.

    Example:
        >>> main_score("frames").of({"frames": {"accuracy": 0.9}})
        0.9
    """

    level: str
    name: str

    @property
    def title(self) -> str:
        """Its name in words."""
        return score_title(self.name)

    def of(self, result: Mapping[str, Any]) -> float | None:
        """Its value, from what `evaluate` returns; None where no class is there."""
        value: float | None = result[self.level][self.name]
        return value

    def text(self, value: float | None) -> str:
        """A value of it with its title, such as `top-1 0.912`."""
        return f"{self.title} {'–' if value is None else format(value, '.3f')}"


def main_score(task: TaskName) -> MainScore:
    """The main score of a task that is known, not `auto`."""
    scores: dict[TaskName, tuple[str, str]] = {
        "video": ("video", "top1"),
        "video-multilabel": ("videos", "mean_average_precision"),
        "frames": ("frames", "accuracy"),
        "frames-multilabel": ("frames", "mean_average_precision"),
    }
    return MainScore(*scores[task])


def score_title(name: str) -> str:
    """The name of a score in words.

    Example:
        >>> score_title("f1_50"), score_title("mean_average_precision")
        ('F1@50', 'mean average precision')
    """
    titles = {"f1_50": "F1@50", "top1": "top-1"}
    return titles.get(name, name.replace("_", " "))
