"""Calibration, fitted on validation videos: temperature, and the threshold of "unknown"."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from pipeline.atomic import write_json
from pipeline.config.values import PROBABILITY, Range, check_ranges, expect, strictly
from pipeline.errors import ConfigError, DataError
from pipeline.run import Run
from pipeline.text import command

Floats = npt.NDArray[np.floating[Any]]


_DAY: Final = 86_400
"""Seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Temperature and threshold of a run's logits, and the usual length of its videos.

    Attributes:
        temperature: What logits are divided by, 1e-6 to 1e6; 1 where there was nothing to fit it
            on.
        logit_threshold: The score, see `Task.score`, below which the answer is "unknown"; None:
            every answer is given.
        num_videos: Validation videos that both were fitted on; 0: none, they are not fitted.
        clip_seconds: Length of a usual training video, 0.001 s to a day; the windows of a long one
            are as long.
        thresholds: Of classes that may hold at once: the probability from which on each is
            answered, 0 to 1; empty: 0.5.
        least_seconds: Of answers at every frame: how long a bout of each class lasts at least;
            empty: any time.
        gap_seconds: The time between two bouts of each class, at least; empty: any.

    Raises:
        ConfigError: A value is not as it must be.
    """

    temperature: Annotated[float, Range(1e-6, 1e6)] = 1.0
    logit_threshold: float | None = None
    num_videos: Annotated[int, Range(0, 10**12)] = 0
    clip_seconds: Annotated[float, Range(1e-3, _DAY)] = 2.0
    thresholds: Annotated[tuple[float, ...], PROBABILITY] = ()
    least_seconds: Annotated[tuple[float, ...], Range(0, _DAY)] = ()
    gap_seconds: Annotated[tuple[float, ...], Range(0, _DAY)] = ()

    def __post_init__(self) -> None:
        check_ranges(self, "calibration.{}".format)
        if self.logit_threshold is not None:
            finite = math.isfinite(self.logit_threshold)
            expect(finite, "calibration.logit_threshold must be finite", self.logit_threshold)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @property
    def limit(self) -> float:
        """`logit_threshold` as a number: minus infinity where nothing is asked for."""
        return -math.inf if self.logit_threshold is None else self.logit_threshold

    @property
    def class_thresholds(self) -> npt.NDArray[np.float64] | float:
        """`thresholds` as an array (C,), or one for all classes."""
        return np.array(self.thresholds) if self.thresholds else 0.5

    def is_enough(self, scores: Floats) -> npt.NDArray[np.bool_]:
        """Whether scores, float (...), are enough for an answer; bool (...)."""
        return np.asarray(scores >= self.limit)


def read_calibration(run: Run) -> Calibration:
    """The calibration of a run; that which changes nothing if it has none.

    Raises:
        DataError: The file is damaged.
    """
    if not run.calibration_file.exists():
        return Calibration()
    try:
        content = json.loads(run.calibration_file.read_bytes())
        return strictly(Calibration, content, "")
    except (ValueError, RecursionError, ConfigError):
        raise DataError(
            f"{run.calibration_file}: damaged, or of another version. Make it again: "
            f"{command('export', run.folder)}"
        ) from None


def write_calibration(run: Run, calibration: Calibration) -> None:
    """Keeps the calibration of a run in its folder."""
    write_json(run.calibration_file, dataclasses.asdict(calibration))


def fit_class_thresholds(probabilities: Floats, labels: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """The probability from which on each class is answered: that of the highest F1.

    Args:
        probabilities: float (N, C), of videos or frames that took no part in training.
        labels: bool (N, C), which classes hold.

    Returns:
        C thresholds, in the middle between the lowest that is answered and the next; 0.5 for a
        class that never holds, or always.
    """
    found = []
    for scores, holds in zip(probabilities.T, labels.T, strict=True):
        order = np.argsort(-scores, kind="stable")
        hits = np.cumsum(holds[order])
        if not 0 < hits[-1] < len(holds):
            found.append(0.5)
            continue
        f1 = 2 * hits / (np.arange(1, len(holds) + 1) + hits[-1])
        # What has the same probability is answered together or not at all.
        last = np.append(scores[order][1:] != scores[order][:-1], True)
        best = int(np.argmax(np.where(last, f1, -1.0)))
        below = scores[order][best + 1] if best + 1 < len(order) else 0.0
        found.append(float((scores[order][best] + below) / 2))
    return tuple(found)


def fit_logit_threshold(
    scores: Floats,
    correct: npt.NDArray[np.bool_],
    aim: Literal["coverage", "precision", "off"],
    target: float,
) -> float | None:
    """The score below which to answer "unknown".

    Args:
        scores: float (N,), of each answer, see `Task.score`.
        correct: bool (N,), which answers are right.
        aim: `coverage`: at least a share `target` of the videos is answered; `precision`: at least
            a share `target` of the answers is right; `off`: everything is answered.
        target: The share, above 0 to 1.

    Returns:
        The highest of that coverage, or the lowest of that precision; where none has it, that of
        the highest precision. None for `off`.

    Example:
        >>> scores = np.array([9.5, 8.0, 6.5, 4.0])
        >>> correct = np.array([True, True, False, True])
        >>> fit_logit_threshold(scores, correct, "coverage", 0.75)
        6.5
        >>> fit_logit_threshold(scores, correct, "precision", 1.0)
        8.0
    """
    if aim == "off":
        return None
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    if aim == "coverage":
        return float(ranked[min(math.ceil(target * len(ranked) - 1e-9), len(ranked)) - 1])
    precisions = np.cumsum(correct[order]) / np.arange(1, len(ranked) + 1)
    # Videos of the same score are answered together or not at all.
    possible = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    good = possible[precisions[possible] >= target]
    chosen = good[-1] if len(good) else possible[np.argmax(precisions[possible])]
    return float(ranked[chosen])
