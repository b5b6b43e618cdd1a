"""One label a video, on made-up logits whose truth is known."""

import numpy as np
import pytest

from pipeline.config import ModelConfig
from pipeline.evaluation.metrics import calibration_error
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.task import task_of

TASK = Exclusive()


def drawn(temperature, num_videos=20_000, num_classes=4):
    """Logits, and labels that are drawn from what they say after division by a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(num_videos, num_classes))
    shares = TASK.probabilities(logits, temperature)
    labels = (rng.random((num_videos, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature):
    logits, labels = drawn(temperature)
    assert TASK.fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_of_few_videos_that_are_all_right_and_of_one_class():
    logits = np.eye(3)[[0, 1, 2, 0]] * 2
    temperature = TASK.fit_temperature(logits, np.array([0, 1, 2, 0]))
    highest = TASK.probabilities(logits, temperature).max()
    assert highest == pytest.approx(5 / 6, abs=0.01), "four of four: (4 + 1) / (4 + 2)"
    assert TASK.fit_temperature(np.ones((3, 1)), np.zeros(3, int)) == 1


def test_probabilities_of_large_logits():
    found = TASK.probabilities(np.array([[1000.0, 0.0], [0.0, -1000.0]]))
    np.testing.assert_array_equal(found, [[1, 0], [1, 0]])


def test_temperature_mends_the_calibration_error():
    logits, labels = drawn(2.5)
    correct = TASK.is_right(logits, labels)
    before = TASK.probabilities(logits).max(axis=1)
    after = TASK.probabilities(logits, 2.5).max(axis=1)
    assert calibration_error(before, correct) > 0.1
    assert calibration_error(after, correct) < 0.02


def test_the_score_is_the_highest_logit_whatever_the_others():
    logits = np.array([[[9.0, 8.9], [-3.0, 2.0]], [[0.0, 0.0], [-7.0, -8.0]]])
    np.testing.assert_array_equal(TASK.score(logits), [[9, 2], [0, -7]])


def test_targets_are_smoothed_over_the_classes():
    found = TASK.targets(np.array([1]), 4, smoothing=0.2).numpy()
    np.testing.assert_allclose(found, [[0.05, 0.85, 0.05, 0.05]])


def test_an_answer_is_the_class_of_the_highest_logit():
    assert isinstance(task_of(ModelConfig()), Exclusive)
    logits = np.array([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    np.testing.assert_array_equal(TASK.answers(logits), [1, 0])
    np.testing.assert_array_equal(TASK.is_right(logits, np.array([1, 2])), [True, False])
