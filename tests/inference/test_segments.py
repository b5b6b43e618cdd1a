"""From windows to segments, by hand."""

import time

import numpy as np
import pytest

from pipeline.inference.segments import (
    Curve,
    Segment,
    find_segments,
    smooth,
)
from pipeline.inference.windows import Window
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.exclusive import Exclusive

NAMES = ["a", "b"]


TASK = Exclusive()


def curve(*of_a, scores=None):
    of_a = np.array(of_a, float)
    scores = np.full(len(of_a), 5.0) if scores is None else np.array(scores, float)
    return Curve(1.0, len(of_a), np.stack([of_a, 1 - of_a], axis=1), scores)


def found(of_a, scores=None, logit_threshold=None, temperature=1.0, **options):
    calibration = Calibration(logit_threshold=logit_threshold, temperature=temperature)
    segments = find_segments(curve(*of_a, scores=scores), NAMES, calibration, **options)
    return [(each.label, each.start_seconds, each.end_seconds) for each in segments]


def segment(start, end, label):
    return Segment(start, end, label, 1.0, 5.0)


def test_segments_lie_end_to_end():
    segments = find_segments(curve(0.9, 0.7, 0.1, 0.3, 0.9), NAMES, Calibration())
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
    little = (4, 3, 2.9, -1, 4)
    assert found(sure, little, logit_threshold=3.0) == segments, "nothing of before is held on to"
    assert found(sure, little, logit_threshold=-2.0) == [("a", 0, 5)]
    assert found((0.6, 0.6), (1, 2), logit_threshold=3.0) == [("unknown", 0, 2)]
    assert found((0.6,), (3.0,), logit_threshold=3.0) == [("a", 0, 1)]


def test_to_leave_unknown_takes_more_evidence_than_to_stay_known():
    """Two logits that are 0.405 apart make probabilities of 0.6 and 0.4, 0.2 apart."""
    sure, little = (0.9,) * 4, (2.9, 3.4, 3.41, 3.0)
    options = {"logit_threshold": 3.0, "hysteresis": 0.2}
    assert found(sure, little, **options) == [("unknown", 0, 2), ("a", 2, 4)]
    options["hysteresis"] = 0.0
    assert found(sure, little, **options) == [("unknown", 0, 1), ("a", 1, 4)]
    options["hysteresis"] = 1.0
    assert found(sure, little, **options) == [("unknown", 0, 4)], "nothing is more by that much"


def test_evidence_to_leave_unknown_is_before_temperature():
    """At twice the temperature logits must be twice as far apart for the same probabilities."""
    sure, little = (0.9,) * 3, (2.9, 3.79, 3.82)
    options = {"logit_threshold": 3.0, "hysteresis": 0.2, "temperature": 2.0}
    assert found(sure, little, **options) == [("unknown", 0, 2), ("a", 2, 3)]


def test_figures_of_segments_are_means():
    found = curve(0.9, 0.2, 0.4, scores=(1, 2, 9))
    segments = find_segments(found, NAMES, Calibration(logit_threshold=3.0))
    assert [each.label for each in segments] == ["unknown", "b"]
    assert segments[0].probability == pytest.approx((0.9 + 0.8) / 2), "of the most probable one"
    assert [each.max_logit for each in segments] == [1.5, 9]


def test_a_short_segment_goes_to_its_more_probable_neighbour():
    assert found((0.9, 0.9, 0.2, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 5)]
    assert found((0.1, 0.9, 0.9), shortest_seconds=2) == [("a", 0, 3)]
    assert found((0.9,), shortest_seconds=2) == [("a", 0, 1)], "there is nothing else"


def test_a_short_segment_beside_unknown_goes_to_the_class_if_that_is_possible_there():
    little = (0, 0, 5, 5, 5)
    options = {"logit_threshold": 3.0, "shortest_seconds": 2}
    assert found((0.9, 0.9, 0.3, 0.9, 0.9), little, **options) == [("unknown", 0, 2), ("a", 2, 5)]


def test_the_shortest_goes_first_and_what_it_joins_grows():
    """Counted once more, one after the other, by looking at all of them each time."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        shares = rng.dirichlet(np.full(3, 0.5), 40)
        found = Curve(1.0, 40.0, shares, np.full(40, 5.0))
        runs = [[label, 1] for label in shares.argmax(axis=1)]
        while True:
            for at in range(len(runs) - 1, 0, -1):
                if runs[at][0] == runs[at - 1][0]:
                    runs[at - 1][1] += runs.pop(at)[1]
            starts = np.cumsum([0, *(length for _, length in runs)])
            at = int(np.argmin([length for _, length in runs]))
            if runs[at][1] >= 4 or len(runs) == 1:
                break
            inside = shares[starts[at] : starts[at + 1]].mean(axis=0)
            beside = [runs[i][0] for i in (at - 1, at + 1) if 0 <= i < len(runs)]
            runs[at][0] = max(beside, key=lambda label: inside[label])
        segments = find_segments(found, "abc", Calibration(), hysteresis=0, shortest_seconds=4)
        assert [(s.label, s.start_seconds) for s in segments] == [
            ("abc"[label], start) for (label, _), start in zip(runs, starts[:-1], strict=True)
        ]


def probability_curve(windows, cell_seconds, duration_seconds, task, temperature):
    logits, scores = smooth(windows, cell_seconds, duration_seconds, task)
    shares = task.probabilities(logits, temperature)
    return Curve(cell_seconds, duration_seconds, shares, scores)


def seconds_of(num_windows):
    """Processor time of a video whose label changes all the time."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (num_windows, 4)).astype(np.float32)
    windows = [Window(0.5 * i, 0.5 * i + 2, row) for i, row in enumerate(logits)]
    started = time.process_time()
    smoothed = probability_curve(windows, 0.5, 0.5 * num_windows + 1.5, TASK, 1.0)
    segments = find_segments(smoothed, "abcd", Calibration(), shortest_seconds=1.5)
    assert num_windows / 12 < len(segments) < num_windows / 3
    return time.process_time() - started


def test_work_grows_with_the_length_of_a_video_and_not_with_its_square():
    short = min(seconds_of(2000) for _ in range(3))
    assert min(seconds_of(16000) for _ in range(3)) < 32 * short  # the square would be 64


def test_a_time_is_what_the_windows_say_whose_middle_is_near():
    windows = [
        Window(0.0, 4.0, np.array([2.0, 0.0], np.float32)),
        Window(2.0, 6.0, np.array([0.0, 2.0], np.float32)),
    ]
    calibration = Calibration(temperature=2.0)
    smoothed = probability_curve(windows, 1.0, 6.0, TASK, calibration.temperature)
    assert [smoothed.seconds(cell) for cell in range(7)] == [0, 1, 2, 3, 4, 5, 6]
    first = TASK.probabilities(np.array([2.0, 0.0]), calibration.temperature)
    np.testing.assert_allclose(smoothed.probabilities[:2], [first, first])
    # At 2.5 s the first window is half a second off its middle, the other 1.5 s, of 2 s.
    mixed = TASK.probabilities(np.array([1.5, 0.5]), calibration.temperature)
    np.testing.assert_allclose(smoothed.probabilities[2], mixed)
    np.testing.assert_allclose(smoothed.probabilities.sum(axis=1), 1)


def test_the_score_of_a_time_is_that_of_its_best_window():
    logits = np.array([[7.0, 0.0], [1.0, 2.0], [0.0, 5.0]], np.float32)
    windows = [Window(2.0 * i, 2.0 * i + 4, row) for i, row in enumerate(logits)]
    found = probability_curve(windows, 2.0, 10.0, TASK, 1.0)
    assert found.scores.tolist() == [7, 7, 5, 5, 5], "the last cell is behind all windows"


@pytest.mark.parametrize("end", [2.0, 2.5, 4.0])
def test_the_last_cell_ends_with_the_video(end):
    windows = [Window(0.0, end, np.zeros(2, np.float32))]
    found = probability_curve(windows, 1.0, 2.5, TASK, 1.0)
    assert [found.seconds(cell) for cell in range(4)] == [0, 1, 2, 2.5]
    assert np.isfinite(found.probabilities).all()
