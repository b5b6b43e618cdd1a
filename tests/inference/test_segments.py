"""From windows to segments, by hand."""

import numpy as np
import pytest

from pipeline.evaluation.calibration import Calibration
from pipeline.inference.segments import (
    Curve,
    Segment,
    find_segments,
    probability_curve,
    segment_f1,
)
from pipeline.inference.windows import Window

NAMES = ["a", "b"]


def curve(*of_a, unknown=()):
    of_a = np.array(of_a, float)
    known = ~np.isin(np.arange(len(of_a)), unknown)
    return Curve(np.arange(len(of_a) + 1.0), np.stack([of_a, 1 - of_a], axis=1), known)


def found(of_a, *, unknown=(), **options):
    return [
        (segment.label, segment.start_seconds, segment.end_seconds)
        for segment in find_segments(curve(*of_a, unknown=unknown), NAMES, **options)
    ]


def test_segments_lie_end_to_end():
    segments = find_segments(curve(0.9, 0.7, 0.1, 0.3, 0.9), NAMES)
    assert [(s.label, s.start_seconds, s.end_seconds) for s in segments] == [
        ("a", 0, 2),
        ("b", 2, 4),
        ("a", 4, 5),
    ]
    assert [s.probability for s in segments] == pytest.approx([0.8, 0.8, 0.9])


def test_hysteresis_keeps_a_label_that_is_hardly_less_probable():
    wavering = (0.6, 0.48, 0.52, 0.48, 0.2)
    assert found(wavering, hysteresis=0.1) == [("a", 0, 4), ("b", 4, 5)]
    assert len(found(wavering, hysteresis=0.0)) == 4


def test_where_there_is_too_little_evidence_it_is_unknown():
    sure = (0.95, 0.95, 0.95, 0.95, 0.45)
    segments = [("a", 0, 2), ("unknown", 2, 4), ("b", 4, 5)]
    assert found(sure, unknown=(2, 3)) == segments, "nothing of before is held on to"
    assert found(sure, unknown=(2,), shortest_seconds=2) == [("a", 0, 5)]
    assert found((0.6, 0.6), unknown=(0, 1)) == [("unknown", 0, 2)]


def test_the_probability_of_an_unknown_segment_is_that_of_the_most_probable_class():
    (segment,) = find_segments(curve(0.9, 0.2, unknown=(0, 1)), NAMES)
    assert segment.probability == pytest.approx((0.9 + 0.8) / 2)


def test_a_short_segment_goes_to_its_more_probable_neighbour():
    assert found((0.9, 0.9, 0.2, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 5)]
    assert found((0.1, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 3)]
    assert found((0.9,), shortest_seconds=2) == [("a", 0, 1)], "there is nothing else"


def test_a_moment_is_what_the_windows_say_whose_middle_is_near():
    windows = [
        Window(0.0, 4.0, np.array([2.0, 0.0], np.float32)),
        Window(2.0, 6.0, np.array([0.0, 2.0], np.float32)),
    ]
    calibration = Calibration(temperature=2.0, least_evidence=1.6)
    smoothed = probability_curve(windows, 1.0, 6.0, calibration)
    assert smoothed.known.tolist() == [True, True, False, False, True, True]
    assert smoothed.edges.tolist() == [0, 1, 2, 3, 4, 5, 6]
    first = calibration.probabilities(np.array([2.0, 0.0]))
    np.testing.assert_allclose(smoothed.probabilities[:2], [first, first])
    # At 2.5 s the first window is half a second off its middle, the other 1.5 s, of 2 s.
    mixed = calibration.probabilities(np.array([1.5, 0.5]))
    np.testing.assert_allclose(smoothed.probabilities[2], mixed)
    np.testing.assert_allclose(smoothed.probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("end", [2.0, 2.5, 4.0])
def test_the_last_cell_ends_with_the_video(end):
    windows = [Window(0.0, end, np.zeros(2, np.float32))]
    found = probability_curve(windows, 1.0, 2.5, Calibration())
    assert found.edges.tolist() == [0, 1, 2, 2.5]
    assert np.isfinite(found.probabilities).all()


TRUE = [Segment(0, 4, "a", 1.0), Segment(4, 8, "b", 1.0), Segment(8, 12, "a", 1.0)]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (TRUE, 1.0),
        ([Segment(0, 5.5, "a", 1.0), Segment(6, 12, "a", 1.0)], 4 / 5),
        ([Segment(0, 12, "a", 1.0)], 0.0),
        ([Segment(0, 4, "b", 1.0)], 0.0),
        ([*TRUE, Segment(12.5, 13, "a", 1.0)], 6 / 7),
        ([Segment(0, 4, "unknown", 1.0), *TRUE[1:]], 4 / 5),
        ([], 0.0),
    ],
)
def test_segments_that_are_found(segments, expected):
    assert segment_f1(segments, TRUE) == pytest.approx(expected)


def test_neighbours_of_one_label_are_one_segment():
    twice = [Segment(0, 4, "a", 1.0), Segment(4, 8, "a", 1.0), Segment(8, 12, "b", 1.0)]
    once = [Segment(0, 8, "a", 1.0), Segment(8, 12, "b", 1.0)]
    assert segment_f1(once, twice) == segment_f1(twice, once) == segment_f1(twice, twice) == 1
    apart = [Segment(0, 3.5, "a", 1.0), *twice[1:]]
    assert segment_f1(once, apart) == pytest.approx(2 * 2 / (2 + 3))
