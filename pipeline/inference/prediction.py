"""What a run says of a video."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipeline.inference.segments import answer_text

NONE = "none"
"""What people read where no class holds; its label is empty."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Prediction:
    """The answer for a video: classes with their probabilities, the most probable first.

    Attributes:
        path: The video file; empty for an array.
        label: The most probable class, or `unknown` where its logit is below the threshold. Where
            classes may hold at once, those that do with ";" between them, as in a table of videos;
            empty where none does, or only the background of a recording.
        known: Whether it is answered at all: False where `label` is `unknown`. That no class
            holds is an answer, too: then `holding` is empty.
        holding: Pairs of class name and probability of the classes in it, in their order.
        probability: The calibrated probability of `label`, 0 to 1: that it is this class, if it is
            one of the classes. Of several that hold, the highest; where none does, that of the most
            probable class, as for `unknown`.
        max_logit: The highest logit, see `pipeline.tasks.multi_class.MultiClass.score`.
        top: Pairs of class name and probability, in falling order.
        num_frames: Frames that the file holds.
        fps: Its frames per second.
        duration_seconds: Its length.
        damaged: Whether clearly fewer frames decode than it declares.

    Example:
        >>> Prediction(
        ...     path="a.mp4", label="wave", known=True, holding=(("wave", 0.9),), probability=0.9,
        ...     max_logit=5.0, top=(("wave", 0.9), ("jump", 0.1)), num_frames=60, fps=30.0,
        ...     duration_seconds=2.0, damaged=False,
        ... )
        <'a.mp4': wave (wave 0.90, jump 0.10)>
    """

    path: str
    label: str
    known: bool
    holding: tuple[tuple[str, float], ...]
    probability: float
    max_logit: float
    top: tuple[tuple[str, float], ...]
    num_frames: int | None
    fps: float
    duration_seconds: float
    damaged: bool

    def __repr__(self) -> str:
        ranked = ", ".join(f"{label} {value:.2f}" for label, value in self.top)
        name = repr(self.path) if self.path else f"{self.num_frames} frames"
        return f"<{name}: {self.label or NONE} ({ranked})>"

    def __str__(self) -> str:
        """The answer with its probability."""
        texts = (answer_text(label, probability) for label, probability in self.holding)
        return ", ".join(texts) or self.label or NONE

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        pairs = {"holding": self.holding, "top": self.top}
        named = {
            name: [{"label": label, "probability": value} for label, value in each]
            for name, each in pairs.items()
        }
        return {**dataclasses.asdict(self), **named}
