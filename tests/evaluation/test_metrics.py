"""Figures of answers by hand, their intervals, and those of several cross-validations."""

import re

import numpy as np
import pytest
from scipy.stats import beta

from pipeline.cli.benchmarks import intervals
from pipeline.evaluation import metrics
from pipeline.evaluation.fusing import cross_validated
from pipeline.evaluation.intervals import (
    accuracy_ends,
    accuracy_interval,
    difference_ends,
    difference_interval,
)
from pipeline.evaluation.results import main_score
from pipeline.tasks.multi_class import MultiClass
from tests.evaluation.made_up_crossval import some_answers, write_crossval

LOGITS = np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0]])


def test_figures_of_answers_and_classes_by_hand():
    for labels, k, expected in (
        ([0, 1, 2, 1], 1, 1.0),
        ([1, 0, 1, 0], 2, 0.75),
        ([2, 0, 0, 2], 3, 1.0),
    ):
        assert metrics.in_top_k(LOGITS, np.array(labels), k).mean() == expected
    assert metrics.in_top_k(LOGITS[:, :2], np.array([0, 0, 0, 0]), 5).all(), "of few classes"
    equal = metrics.in_top_k(np.zeros((2, 4)), np.array([0, 3]), 1)
    assert equal.tolist() == [True, False]
    assert metrics.chance(np.array([0, 1, 1, 1, 2])) == 0.6
    counts = metrics.confusion(np.array([1, 1, 2]), np.array([0, 1, 1]), 4)
    assert counts.tolist() == [[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    # Class c was never answered: its precision counts as 0. There is no video of class d.
    labels, answers = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 1])
    table = metrics.per_class(answers, labels, ["a", "b", "c", "d"])
    assert table["b"] == metrics.ClassScores(pytest.approx(1 / 3), 1.0, 0.5, 1)
    assert table["a"].recall == pytest.approx(2 / 3)
    assert table["c"] == metrics.ClassScores(None, 0, 0, 1)
    assert table["d"] == metrics.ClassScores(None, None, None, 0)
    found = metrics.macro(table)
    assert found.precision == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert found.recall == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.f1 == pytest.approx((0.8 + 0.5 + 0) / 3)
    # How often those answers are right that are as sure.
    confidences = np.array([0.95, 1.0, 0.55, 0.05])
    bins = metrics.reliability(confidences, np.array([True, False, True, False]))
    assert bins == [
        metrics.Tenth(1, 0.05, 0),
        metrics.Tenth(1, 0.55, 1),
        metrics.Tenth(2, pytest.approx(0.975), 0.5),
    ]
    error = metrics.calibration_error(confidences, np.array([True, False, True, False]))
    assert error == pytest.approx((0.05 + 0.45 + 2 * 0.475) / 4)
    # Order pairs, and the main score of each task.
    names = ["down", "other", "up"]
    in_order = np.array([[9, 0, 1], [1, 0, 9], [0, 9, 0], [9, 0, 1.0]])
    backwards = np.array([[1, 0, 9], [1, 9, 2], [9, 0, 0], [2, 0, 1.0]])
    labels = np.array([0, 2, 1, 2])
    logits = {"in_order": in_order, "reversed": backwards}
    result = metrics.order_pairs(logits, labels, names, [("down", "up")])
    assert result.num_videos == 3
    # Answers in order: down, up, down. Their partners: up, down, up. Reversed: up, other, down.
    assert result.reversed_to_partner == pytest.approx(1 / 3)
    assert result.two_way == pytest.approx({"in_order": 2 / 3, "reversed": 1 / 3})
    video, frames = {"top1": 0.1, "top1_interval95": [0, 0.3]}, {"accuracy": 0.4, "exclusive": True}
    assert main_score({"video": video}) == ("top1", 0.1, [0, 0.3])
    precision = {"accuracy": 0.2, "mean_average_precision": None}
    for level in ("videos", "frames"):
        assert main_score({level: precision}).text == "mean average precision –"
    assert main_score({"frames": frames, "video": {}}).text == "accuracy 0.400"
    assert main_score({}) is None


# Intervals.

ALONE = [str(number) for number in range(100)]
TWENTIES = [str(number // 5) for number in range(100)]


def test_they_hold_the_truth_by_simulation(capsys):
    """The lowest of 135 shares of 400 draws is 0.035 below 0.92 by chance."""
    intervals.main(["--draws", "400", "--groups", "3", "8", "50"])
    output = capsys.readouterr().out
    rows = re.findall(r"^ +(\d+) +(\S+) +(\S+) +(\S+) +(\S+)$", output, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [3, 8, 50, 3, 8, 50]
    for _, lowest, mean, width, by_bootstrap in rows:
        assert float(lowest) > 0.885
        assert 0.96 < float(mean) < 1
        assert float(width) < 1
        assert float(by_bootstrap) < 0.7


def test_groups_that_are_right_or_wrong_as_a_whole_make_it_wider():
    """Of videos alone it is Clopper and Pearson's interval, as SciPy's quantiles give it."""
    independent = [beta.ppf(0.025, 90, 11), beta.ppf(0.975, 91, 10)]
    assert accuracy_interval(np.arange(100) < 90, ALONE) == pytest.approx(independent, abs=1e-3)
    scattered = accuracy_interval(np.arange(100) % 5 > 0, TWENTIES)
    whole = accuracy_interval(np.arange(100) >= 20, TWENTIES)
    assert whole[1] - whole[0] > 1.3 * (scattered[1] - scattered[0])
    alone = accuracy_interval(np.arange(100) >= 20, ALONE)
    assert scattered[1] - scattered[0] > alone[1] - alone[0]
    for interval in (accuracy_interval, difference_interval):
        assert interval(np.array([True, False] * 50), ["a", "b"] * 50) is None
    # All right, all wrong and never another leave room.
    right = accuracy_interval(np.ones(100, bool), TWENTIES)
    wrong = accuracy_interval(np.zeros(100, bool), TWENTIES)
    assert right[1] == 1
    assert 0.85 < right[0] < 0.95
    assert wrong == pytest.approx([1 - right[1], 1 - right[0]])
    fewer = accuracy_interval(np.ones(20, bool), TWENTIES[:20])
    assert fewer[0] < right[0] - 0.2
    low, high = difference_interval(np.zeros(100), TWENTIES)
    assert low == -high
    assert 0.02 < high < 0.1


def test_a_difference_by_hand():
    """One video a group: no design effect. Agresti and Min's interval, with t of 24 + 30."""
    wins, losses, videos = 20, 10, 100
    values = np.repeat([1, -1, 0], [wins, losses, videos - wins - losses])
    middle = (wins - losses) / (videos + 2)
    error = np.sqrt(((wins + losses + 1) / (videos + 2) - middle**2) / (videos + 2))
    expected = [middle - 2.0049 * error, middle + 2.0049 * error]
    assert difference_interval(values, ALONE) == pytest.approx(expected, abs=1e-3)
    turned = [-expected[1], -expected[0]]
    assert difference_interval(-values, ALONE) == pytest.approx(turned, abs=1e-3)
    whole = difference_interval(values, TWENTIES)
    assert whole[1] - whole[0] > 1.3 * (expected[1] - expected[0])
    # Many at once are each alone.
    sizes = np.array([4, 2, 7])
    right = np.array([[4, 2, 7], [3, 0, 7], [0, 0, 0]])
    for ends in (accuracy_ends, lambda each, sizes: difference_ends(each, sizes - each, sizes)):
        together = ends(right, sizes)
        assert together.shape == (2, 3)
        for number, each in enumerate(right):
            assert together[:, number].tolist() == ends(each, sizes).tolist()


# Several cross-validations.

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def parts():
    """Of two networks; in the last fold, both are mostly wrong."""
    right = {1: 0.8, 2: 0.8, 3: 0.8, 4: 0.2}
    return {
        name: [some_answers(fold, NAMES, sure=sure, right=share) for fold, share in right.items()]
        for name, sure in (("sure", 8.0), ("unsure", 1.0))
    }


@pytest.fixture(scope="module")
def several(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crossvals")
    return cross_validated(
        [write_crossval(folder / name, NAMES, folds) for name, folds in parts.items()]
    )


def temperature_of(folds):
    parts = (
        np.concatenate([getattr(each, key) for each in folds]) for key in ("logits", "targets")
    )
    return MultiClass().fit_temperature(*parts)


def test_answers_of_a_fold_are_divided_by_what_fits_the_others(parts, several):
    for answers, folds in zip(several.each, parts.values(), strict=True):
        for fold in folds:
            temperature = temperature_of([part for part in folds if part is not fold])
            inside = np.array([name in fold.names for name in answers.names])
            expected = MultiClass().probabilities(fold.logits, temperature)
            found = MultiClass().probabilities(answers.logits[inside])
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)
    # For others all folds say it, so that one that is too sure does not drown the other.
    expected = [temperature_of(folds) for folds in parts.values()]
    np.testing.assert_allclose(several.temperatures, expected, rtol=1e-3)
    assert several.temperatures[0] > 3 > several.temperatures[1]
    shares = [MultiClass().probabilities(each.logits).max(axis=1).mean() for each in several.each]
    assert shares[0] == pytest.approx(shares[1], abs=0.1)
