"""How far probabilities can be believed, by hand."""

import numpy as np
import pytest

from pipeline.evaluation.reliability import calibration_error, reliability


def test_reliability_by_hand():
    confidences = np.array([0.95, 1.0, 0.55, 0.05])
    bins = reliability(confidences, np.array([True, False, True, False]))
    assert bins == [
        {"num_videos": 1, "confidence": 0.05, "accuracy": 0},
        {"num_videos": 1, "confidence": 0.55, "accuracy": 1},
        {"num_videos": 2, "confidence": pytest.approx(0.975), "accuracy": 0.5},
    ]
    error = calibration_error(confidences, np.array([True, False, True, False]))
    assert error == pytest.approx((0.05 + 0.45 + 2 * 0.475) / 4)
