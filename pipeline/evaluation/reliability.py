"""How far probabilities can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

NUM_BINS = 10


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
