"""Bouts by hand: short ones and short gaps, of one class and of classes that exclude each other."""

import numpy as np
import pytest

from pipeline.tasks.amounts import Spans
from pipeline.tasks.bouts import runs_of, without_short, without_short_exclusive
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.frames import Frames
from pipeline.tasks.independent import Independent


def track(text):
    return np.array([sign == "#" for sign in text])


@pytest.mark.parametrize("text", ["", "....", "####", "#..#", ".##."])
def test_runs(text):
    drawn = np.zeros(len(text), bool)
    for start, end in runs_of(track(text)):
        assert end > start
        drawn[start:end] = True
    assert drawn.tolist() == track(text).tolist()


@pytest.mark.parametrize(
    ("text", "least", "gap", "wanted"),
    [
        ("#.##...#", 2, 1, "..##...."),
        ("#.##...#", 2, 2, "####...."),
        ("#.##...#", 1, 3, "####...#"),
        ("#.##...#", 1, 4, "########"),
        (".#...#..", 2, 1, "........"),
        ("#.......", 0, 0, "#......."),
    ],
)
def test_gaps_are_filled_before_short_bouts_go(text, least, gap, wanted):
    runs = without_short(runs_of(track(text)), least, gap)
    assert runs.tolist() == runs_of(track(wanted)).tolist()


def test_a_short_bout_goes_to_its_more_probable_neighbour():
    shares = np.array([[0.9, 0.1, 0.0], [0.3, 0.4, 0.3], [0.2, 0.1, 0.7], [0.2, 0.1, 0.7]])
    labels = np.array([0, 1, 2, 2])
    assert without_short_exclusive(labels, shares, np.array([0, 2, 0, 0])).tolist() == [0, 0, 2, 2]
    shares[1] = [0.2, 0.4, 0.4]
    assert without_short_exclusive(labels, shares, np.array([0, 2, 0, 0])).tolist() == [0, 2, 2, 2]
    assert without_short_exclusive(labels, shares, np.array([9, 1, 0, 0])).tolist() == [1, 1, 2, 2]
    assert labels.tolist() == [0, 1, 2, 2], "what was given is not changed"
    # None is no more probable than nothing.
    shares, labels = np.array([[0.9], [0.2], [0.9]]), np.array([-1, 0, -1])
    assert without_short_exclusive(labels, shares, np.array([2, 0])).tolist() == [-1, -1, -1]
    assert without_short_exclusive(-1 - labels, shares, np.array([0, 2])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("each", [Exclusive(), Independent()])
def test_answers_are_the_bouts_of_what_is_probable_enough(each):
    task, rng = Frames(each), np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 200)
    calibration = Calibration(
        thresholds=(0.2, 0.3, 0.4), least_seconds=(0.2, 0.3, 0.4), gap_seconds=(0.1, 0.2, 0.3)
    )
    answers = task.answers(shares, calibration, 10)
    for column, least in zip(answers.T, (2, 3, 4), strict=True):
        lengths = np.diff(runs_of(column), axis=1)
        assert len(lengths)
        assert lengths.min() >= least
    assert not task.is_exclusive or (answers.sum(axis=1) == 1).all()


def test_amounts_of_a_whole_recording_and_its_bins():
    spans = Spans(np.arange(10), 2.0, 5.0, 2.0)
    whole, *binned = spans.amounts(track(".##.#....#"))
    assert (whole.count, whole.total_seconds, whole.latency_seconds) == (3, 2.0, 0.5)
    assert [(each.count, each.total_seconds) for each in binned] == [(1, 1.0), (1, 0.5), (1, 0.5)]
    assert [span.bin for span in spans.spans] == ["whole", 1, 2, 3]
