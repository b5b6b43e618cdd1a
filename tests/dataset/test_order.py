"""The order of videos in training."""

import numpy as np
import pytest

from pipeline.dataset.order import TrainingOrder

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


@pytest.mark.parametrize("balanced", [False, True])
def test_a_class_without_videos(balanced):
    assert sorted(orders([3, 0, 3], 1, balanced=balanced)[0])[:3] == [0, 1, 2]


def test_a_million_videos_are_mixed_from_end_to_end():
    labels = np.arange(1_000_000) % 100
    order = TrainingOrder(labels, seed=0, balanced=True)(5)
    distance = np.abs(order - np.arange(1_000_000)).mean()
    assert distance == pytest.approx(1_000_000 / 3, rel=0.01)
