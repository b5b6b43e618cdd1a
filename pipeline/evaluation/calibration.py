"""Probabilities that can be believed: temperature, and the evidence that an answer takes."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.config.checks import expect, expect_range
from pipeline.config.strict import strictly
from pipeline.errors import ConfigError, DataError
from pipeline.run import Run
from pipeline.text import command

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

NUM_BINS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """How a run is used: what its logits are worth, and how long its videos are.

    Attributes:
        temperature: What logits are divided by, 1e-6 to 1e6; 1 where there was nothing to fit it
            on.
        least_evidence: What `evidence` must be for an answer, else it is "unknown"; None: nothing.
        num_videos: Validation videos that both were fitted on; 0: none, they are not fitted.
        clip_seconds: Length of a usual training video, 0.001 s to a day; the windows of a long one
            are as long.

    Raises:
        ConfigError: A value is not as it must be.
    """

    temperature: float = 1.0
    least_evidence: float | None = None
    num_videos: int = 0
    clip_seconds: float = 2.0

    def __post_init__(self) -> None:
        expect_range(self.temperature, "calibration.temperature", 1e-6, 1e6)
        expect_range(self.clip_seconds, "calibration.clip_seconds", 1e-3, 86_400)
        if self.least_evidence is not None:
            finite = math.isfinite(self.least_evidence)
            expect(finite, "calibration.least_evidence must be finite", self.least_evidence)

    def probabilities(self, logits: Floats) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of logits.

        Args:
            logits: float (..., C), averaged over views.

        Returns:
            float64 (..., C), which sum to 1.

        Example:
            >>> Calibration(temperature=2.0).probabilities(np.array([2.0, 0.0])).round(2)
            array([0.73, 0.27])
        """
        scaled = np.asarray(logits, np.float64) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
        return shares

    @property
    def limit(self) -> float:
        """`least_evidence` as a number: minus infinity where nothing is asked for."""
        return -math.inf if self.least_evidence is None else self.least_evidence

    def is_enough(self, found: Floats) -> npt.NDArray[np.bool_]:
        """Whether evidence, float (...), is enough for an answer; bool (...)."""
        return np.asarray(found >= self.limit)


def evidence(logits: Floats) -> npt.NDArray[np.float64]:
    """How much speaks for the most probable class: its logit, before any temperature.

    A probability says which of the known classes it is, if it is one of them. Of what is none of
    them, all logits are low, which the probabilities, as their differences, do not show.

    Args:
        logits: float (..., C), averaged over views.

    Returns:
        float64 (...).

    Source: the maximum logit score, Hendrycks et al. (2022).
    """
    return np.asarray(logits, np.float64).max(axis=-1)


def read_calibration(run: Run) -> Calibration:
    """The calibration of a run; that which changes nothing if it has none.

    Raises:
        DataError: The file is damaged.
    """
    if not run.calibration_file.exists():
        return Calibration()
    try:
        return strictly(Calibration, json.loads(run.calibration_file.read_bytes()), "")
    except (ValueError, RecursionError, ConfigError):
        raise DataError(
            f"{run.calibration_file}: damaged, or of another version. Make it again: "
            f"{command('export', run.folder)}"
        ) from None


def write_calibration(run: Run, calibration: Calibration) -> None:
    """Keeps the calibration of a run in its folder."""
    with atomic_write(run.calibration_file) as file:
        file.write(json.dumps(dataclasses.asdict(calibration), indent=2).encode())


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature under which the labels are most likely.

    The targets are those of Platt: with N videos, the label of each gets (N + 1) / (N + 2) of it
    and the other classes share the rest, so that a few videos that are all answered rightly do
    not make the model out to be never wrong.

    Args:
        logits: float (N, C), of videos that took no part in training.
        labels: int (N,), from 0 to C - 1.

    Returns:
        The temperature, 0.05 to 20.

    Source: temperature scaling, Guo et al. (2017); the targets, Platt (1999), section 2.
    """
    from scipy.optimize import minimize_scalar  # takes a while

    num_videos, num_classes = logits.shape
    if num_classes == 1:
        return 1.0
    rest = 1 / (num_videos + 2)
    targets = np.full(logits.shape, rest / (num_classes - 1))
    targets[np.arange(num_videos), labels] = 1 - rest

    def loss(log_temperature: float) -> float:
        shares = Calibration(temperature=float(np.exp(log_temperature))).probabilities(logits)
        return float(-np.mean(np.sum(targets * np.log(np.maximum(shares, 1e-300)), axis=1)))

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(best.x))


def fit_least_evidence(
    found: Floats,
    correct: npt.NDArray[np.bool_],
    aim: Literal["coverage", "precision", "off"],
    target: float,
) -> float | None:
    """The evidence below which to answer "unknown".

    Args:
        found: float (N,), the evidence for each answer.
        correct: bool (N,), which answers are right.
        aim: `coverage`: at least a share `target` of the videos is answered; `precision`: at least
            a share `target` of the answers is right; `off`: everything is answered.
        target: The share, above 0 to 1.

    Returns:
        The highest of that coverage, or the lowest of that precision; where none has it, that of
        the highest precision. None for `off`.

    Example:
        >>> found = np.array([9.5, 8.0, 6.5, 4.0])
        >>> correct = np.array([True, True, False, True])
        >>> fit_least_evidence(found, correct, "coverage", 0.75)
        6.5
        >>> fit_least_evidence(found, correct, "precision", 1.0)
        8.0
    """
    if aim == "off":
        return None
    order = np.argsort(-found, kind="stable")
    ranked = found[order]
    if aim == "coverage":
        return float(ranked[min(math.ceil(target * len(ranked) - 1e-9), len(ranked)) - 1])
    precisions = np.cumsum(correct[order]) / np.arange(1, len(ranked) + 1)
    # Videos of the same evidence are answered together or not at all.
    possible = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    good = possible[precisions[possible] >= target]
    chosen = good[-1] if len(good) else possible[np.argmax(precisions[possible])]
    return float(ranked[chosen])


def reliability(
    confidences: Floats, correct: npt.NDArray[np.bool_], *, num_bins: int = NUM_BINS
) -> list[dict[str, float]]:
    """How often answers of about one probability are right.

    Args:
        confidences: float (N,), the probability of each answer, 0 to 1.
        correct: bool (N,), which answers are right.
        num_bins: Bins of one width from 0 to 1.

    Returns:
        For each bin that holds any: `num_videos`, their mean `confidence` and their `accuracy`.
    """
    bins = np.minimum((np.asarray(confidences) * num_bins).astype(int), num_bins - 1)
    return [
        {
            "num_videos": int(np.sum(bins == number)),
            "confidence": float(np.mean(confidences[bins == number])),
            "accuracy": float(np.mean(correct[bins == number])),
        }
        for number in np.unique(bins)
    ]


def calibration_error(
    confidences: Floats, correct: npt.NDArray[np.bool_], *, num_bins: int = NUM_BINS
) -> float:
    """Expected calibration error: how far probabilities are from shares of right answers, 0 to 1.

    Args:
        confidences: As for `reliability`.
        correct: As for `reliability`.
        num_bins: As for `reliability`.

    Source: Naeini et al. (2015); Guo et al. (2017), equation 3.

    Example:
        >>> calibration_error(np.array([0.95, 0.95]), np.array([True, False])).__round__(2)
        0.45
    """
    gaps = [
        each["num_videos"] * abs(each["confidence"] - each["accuracy"])
        for each in reliability(confidences, correct, num_bins=num_bins)
    ]
    return float(sum(gaps) / len(confidences))
