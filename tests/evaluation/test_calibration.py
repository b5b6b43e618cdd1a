"""Temperature, evidence and calibration error, on made-up logits whose truth is known."""

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.calibration import (
    Calibration,
    calibration_error,
    evidence,
    fit_least_evidence,
    fit_temperature,
    read_calibration,
    reliability,
    write_calibration,
)
from pipeline.run import Run


def drawn(temperature, num_videos=20_000, num_classes=4):
    """Logits, and labels that are drawn from what they say after division by a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(num_videos, num_classes))
    shares = Calibration(temperature=temperature).probabilities(logits)
    labels = (rng.random((num_videos, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature):
    logits, labels = drawn(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_temperature_mends_the_calibration_error():
    logits, labels = drawn(2.5)
    correct = logits.argmax(axis=1) == labels
    before = Calibration().probabilities(logits).max(axis=1)
    after = Calibration(temperature=2.5).probabilities(logits).max(axis=1)
    assert calibration_error(before, correct) > 0.1
    assert calibration_error(after, correct) < 0.02


def test_few_videos_that_are_all_right_do_not_make_it_certain():
    logits = np.eye(3)[[0, 1, 2, 0]] * 2
    temperature = fit_temperature(logits, np.array([0, 1, 2, 0]))
    highest = Calibration(temperature=temperature).probabilities(logits).max()
    assert highest == pytest.approx(5 / 6, abs=0.01), "four of four: (4 + 1) / (4 + 2)"


def test_one_class_has_no_temperature():
    assert fit_temperature(np.ones((3, 1)), np.zeros(3, int)) == 1


def test_probabilities_of_large_logits():
    found = Calibration().probabilities(np.array([[1000.0, 0.0], [0.0, -1000.0]]))
    np.testing.assert_array_equal(found, [[1, 0], [1, 0]])


FOUND = np.array([5.0, 9.0, 7.0, 7.0, -3.0])
CORRECT = np.array([True, True, False, True, False])


@pytest.mark.parametrize(
    ("aim", "target", "least"),
    [
        ("off", 0.5, None),
        ("coverage", 1.0, -3.0),
        ("coverage", 0.8, 5.0),
        ("coverage", 0.5, 7.0),
        ("coverage", 0.01, 9.0),
        ("precision", 0.5, -3.0),
        ("precision", 0.7, 5.0),
        ("precision", 0.76, 9.0),
        ("precision", 1.0, 9.0),
    ],
)
def test_the_least_evidence_by_hand(aim, target, least):
    """Right of those answered, from the highest: 1 of 1; 2 of 3, for two are alike; 3 of 4; 3 of 5.

    That of 5 is right, so that 0.75 of the answers are from there on, more than from 7 on.
    """
    assert fit_least_evidence(FOUND, CORRECT, aim, target) == least


def test_a_precision_out_of_reach_gives_the_best_there_is():
    correct = np.array([False, False, True])
    assert fit_least_evidence(np.array([9.0, 8.0, 7.0]), correct, "precision", 0.9) == 7


def test_evidence_is_the_highest_logit_whatever_the_others():
    logits = np.array([[[9.0, 8.9], [-3.0, 2.0]], [[0.0, 0.0], [-7.0, -8.0]]])
    np.testing.assert_array_equal(evidence(logits), [[9, 2], [0, -7]])
    enough = Calibration(temperature=3.0, least_evidence=2.0).is_enough(evidence(logits))
    np.testing.assert_array_equal(enough, [[True, True], [False, False]])
    assert Calibration().is_enough(evidence(logits)).all()
    enough = Calibration(least_evidence=0.0).is_enough(evidence(logits))
    np.testing.assert_array_equal(enough, [[True, True], [True, False]])


def test_a_share_of_videos_is_counted_exactly():
    """Of 100, 55 are 0.55, though 0.55 times 100 is a little more as floats go."""
    assert fit_least_evidence(np.arange(100.0), np.ones(100, bool), "coverage", 0.55) == 45


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


def test_what_is_kept_is_read(tmp_path):
    run = Run(tmp_path)
    assert read_calibration(run) == Calibration()
    for least in (None, -0.25):
        kept = Calibration(temperature=1.5, least_evidence=least, num_videos=7)
        write_calibration(run, kept)
        assert read_calibration(run) == kept


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"temperature": 1, "other": 2}',
        '{"temperature": -1}',
        '{"threshold": 0.5}',
        '{"least_evidence": NaN}',
        '{"least_evidence": "much"}',
        '{"clip_seconds": 0}',
    ],
)
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(
        DataError, match=r"calibration.json: damaged, or of another version. Make it"
    ):
        read_calibration(Run(tmp_path))
