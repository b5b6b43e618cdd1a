"""The order of videos in training, and the share of each of several processes."""

import math

import numpy as np
import pytest

from pipeline.dataset.order import RepeatingOrder, TrainingOrder, repeat_factors
from pipeline.dataset.share import Share

LABELS = np.array([0, 2, 2, 0, 2, 2, 0, 2, 1, 2, 2])  # three, one and seven videos


def orders(labels, epochs, *, seed=0, balanced=False):
    order = TrainingOrder(np.array(labels), seed=seed, balanced=balanced)
    return [order(epoch).tolist() for epoch in range(epochs)]


def test_each_video_once_in_an_order_of_each_epoch_and_seed():
    found = orders(LABELS, 4) + orders(LABELS, 4, seed=1)
    assert all(sorted(order) == list(range(11)) for order in found)
    assert len(set(map(tuple, found))) == 8
    assert orders(LABELS, 2) == found[:2]


def test_the_order_is_the_same_today_and_tomorrow():
    """Else a training that goes on with a later version would see some videos twice."""
    assert orders([0, 0, 1, 1, 1], 2, seed=3) == [[3, 0, 2, 4, 1], [4, 1, 2, 3, 0]]
    assert orders([0, 0, 1, 1, 1], 1, seed=3, balanced=True) == [[0, 2, 4, 3, 1, 5]]
    for balanced in (False, True):  # whether or not a class has no videos
        assert sorted(orders([3, 0, 3], 1, balanced=balanced)[0])[:3] == [0, 1, 2]


def test_each_class_as_often_as_the_largest():
    found = orders(LABELS, 6, balanced=True)
    for order in found:
        assert len(set(order)) == len(order) == 21, "each time a number of its own"
        videos, times = np.unique(np.array(order) % 11, return_counts=True)
        assert videos.tolist() == list(range(11))
        assert [times[label == LABELS].sum() for label in range(3)] == [7, 7, 7]
        assert np.ptp(times[LABELS == 0]) == 1
    shown = np.bincount(np.array(found).ravel() % 11)
    assert shown.tolist() == [14 if label == 0 else 42 if label == 1 else 6 for label in LABELS]


def test_a_million_videos_are_mixed_from_end_to_end():
    labels = np.arange(1_000_000) % 100
    order = TrainingOrder(labels, seed=0, balanced=True)(5)
    distance = np.abs(order - np.arange(1_000_000)).mean()
    assert distance == pytest.approx(1_000_000 / 3, rel=0.01)


def test_an_epoch_shows_each_video_as_often_as_its_factor_says():
    times = np.array([1.0, 2.5, 1.0, 3.25, 1.0])
    order = RepeatingOrder(times, seed=1)
    epochs = [order(epoch) for epoch in range(400)]
    assert {len(epoch) for epoch in epochs} == {9}
    counts = np.array([np.bincount(epoch % 5, minlength=5) for epoch in epochs])
    for epoch, times_of_each in zip(epochs, counts, strict=True):
        numbers = [video + 5 * copy for video in range(5) for copy in range(times_of_each[video])]
        assert sorted(epoch) == sorted(numbers), "each copy has a number of its own"
    assert (np.abs(counts - times) <= 1.5).all()
    np.testing.assert_allclose(counts.mean(axis=0), times * 9 / 8.75, atol=0.1)


def test_repeating_orders_differ_by_epoch_and_seed_alone():
    order = RepeatingOrder(np.ones(50), seed=3)
    assert sorted(order(0)) == list(range(50))
    np.testing.assert_array_equal(order(7), RepeatingOrder(np.ones(50), seed=3)(7))
    assert order(7).tolist() != order(8).tolist()
    assert order(7).tolist() != RepeatingOrder(np.ones(50), seed=4)(7).tolist()


def test_rare_classes_repeat_up_to_four_times():
    has_class = np.zeros((1000, 3), bool)
    has_class[:, 0] = True
    has_class[:100, 1] = True
    has_class[0, 2] = True
    factors = repeat_factors(has_class)
    mean = (1 + 0.1 + 0.001) / 3
    assert factors[0] == 4
    np.testing.assert_allclose(factors[1:100], np.sqrt(mean / 0.1))
    np.testing.assert_array_equal(factors[100:], 1)
    has_class = np.array([[True, False], [True, False]])  # What nothing has changes nothing.
    np.testing.assert_array_equal(repeat_factors(has_class), 1)
    np.testing.assert_array_equal(repeat_factors(~has_class & False), 1)


# Shares.


@pytest.mark.parametrize("number", [1, 3, 4, 5, 8, 23])
@pytest.mark.parametrize(("count", "devices"), [(1, 2), (2, 1), (2, 2), (3, 1)])
def test_each_video_is_judged_once_and_all_devices_are_as_busy(number, count, devices):
    batch_size, counted, turns = 4, [], set()
    for index in range(count):
        numbers, counts, each = Share(index, count, devices).dealt(number, batch_size)
        turns.add(each)
        assert len(counts) == each * devices
        starts = np.arange(len(counts)) * batch_size
        batches = [numbers[start : start + batch_size] for start in starts]
        assert sum(map(len, batches)) == len(numbers)
        # Only the last batch of all may be smaller, so that batches stay as they were dealt.
        assert all(len(batch) == batch_size for batch in batches[:-1])
        for batch, is_counted in zip(batches, counts, strict=True):
            counted += batch if is_counted else []
    assert sorted(counted) == list(range(number))
    assert turns == {math.ceil(math.ceil(number / batch_size) / (count * devices))}


def test_rows_are_next_to_each_other_and_together_the_batch():
    rows = [np.arange(12)[Share(index, 3, 2).rows(12)] for index in range(3)]
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(12))
    assert {Share(index, 3, 2).of_each(12) for index in range(3)} == {2}
