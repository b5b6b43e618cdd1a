"""Intervals that hold the truth as often as they say, by simulation, and by hand."""

import re

import numpy as np
import pytest
from scipy.stats import beta

from pipeline.cli.benchmarks import intervals
from pipeline.evaluation.intervals import (
    accuracy_ends,
    accuracy_interval,
    difference_ends,
    difference_interval,
)

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


def test_all_right_all_wrong_and_never_another_leave_room():
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


def test_many_at_once_are_each_alone():
    sizes = np.array([4, 2, 7])
    right = np.array([[4, 2, 7], [3, 0, 7], [0, 0, 0]])
    for ends in (accuracy_ends, lambda each, sizes: difference_ends(each, sizes - each, sizes)):
        together = ends(right, sizes)
        assert together.shape == (2, 3)
        for number, each in enumerate(right):
            assert together[:, number].tolist() == ends(each, sizes).tolist()
