"""The order of videos, the share of each of several processes, and other splits of a data set."""

import dataclasses
import math

import numpy as np
import pytest

from pipeline.config import ClipConfig, FramesConfig, RunConfig, SplitConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.order import RepeatingOrder, Share, TrainingOrder, repeat_factors
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest
from pipeline.manifest.split import count_folds, resplit
from pipeline.prepare.leaks import crossing

LABELS = np.array([0, 2, 2, 0, 2, 2, 0, 2, 1, 2, 2])  # three, one and seven videos


def orders(labels, epochs, *, seed=0, balanced=False):
    order = TrainingOrder(np.array(labels), seed=seed, balanced=balanced)
    return [order(epoch).tolist() for epoch in range(epochs)]


def test_each_video_once_in_an_order_of_each_epoch_and_seed():
    found = orders(LABELS, 4) + orders(LABELS, 4, seed=1)
    assert all(sorted(order) == list(range(11)) for order in found)
    assert len(set(map(tuple, found))) == 8
    assert orders(LABELS, 2) == found[:2]
    # Else a training that goes on with a later version would see some videos twice.
    assert orders([0, 0, 1, 1, 1], 2, seed=3) == [[3, 0, 2, 4, 1], [4, 1, 2, 3, 0]]
    assert orders([0, 0, 1, 1, 1], 1, seed=3, balanced=True) == [[0, 2, 4, 3, 1, 5]]
    for balanced in (False, True):  # whether or not a class has no videos
        assert sorted(orders([3, 0, 3], 1, balanced=balanced)[0])[:3] == [0, 1, 2]
    # A million are mixed from end to end.
    labels = np.arange(1_000_000) % 100
    order = TrainingOrder(labels, seed=0, balanced=True)(5)
    distance = np.abs(order - np.arange(1_000_000)).mean()
    assert distance == pytest.approx(1_000_000 / 3, rel=0.01)
    # Each class as often as the largest.
    found = orders(LABELS, 6, balanced=True)
    for order in found:
        assert len(set(order)) == len(order) == 21, "each time a number of its own"
        videos, times = np.unique(np.array(order) % 11, return_counts=True)
        assert videos.tolist() == list(range(11))
        assert [times[label == LABELS].sum() for label in range(3)] == [7, 7, 7]
        assert np.ptp(times[LABELS == 0]) == 1
    shown = np.bincount(np.array(found).ravel() % 11)
    assert shown.tolist() == [14 if label == 0 else 42 if label == 1 else 6 for label in LABELS]


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
    order = RepeatingOrder(np.ones(50), seed=3)
    assert sorted(order(0)) == list(range(50))
    np.testing.assert_array_equal(order(7), RepeatingOrder(np.ones(50), seed=3)(7))
    assert order(7).tolist() != order(8).tolist()
    assert order(7).tolist() != RepeatingOrder(np.ones(50), seed=4)(7).tolist()
    # Rare classes repeat up to four times.
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


# Splits.

CONFIG = RunConfig(frames=FramesConfig(size=32), clip=ClipConfig(num_frames=4))


def test_each_video_is_in_the_test_of_one_fold(blob_store):
    tested = []
    for fold in range(1, 6):
        manifest = resplit(blob_store.manifest, SplitConfig(folds=5, fold=fold))
        assert not crossing(manifest.rows)  # no group in two splits
        tested += [row.path for row in manifest.rows if row.split == "test"]
    assert sorted(tested) == sorted(row.path for row in blob_store.manifest.rows)
    config = SplitConfig(folds="groups", fold=3)  # which leaves one group out
    assert count_folds(blob_store.manifest, config.folds) == 20
    rows = resplit(blob_store.manifest, config).rows
    assert {row.group for row in rows if row.split == "test"} == {"g02"}
    assert {row.split for row in rows} == {"train", "test"}
    # A store gives the videos of these splits.
    data = open_data(blob_store.path, split=SplitConfig(folds="groups", fold=7, val_folds=4))
    assert data.num_videos == {"train": 56, "val": 20, "test": 4}
    assert data.fingerprint != blob_store.fingerprint
    for split in data.num_videos:
        clips = evaluation_clips(data, CONFIG, split)
        found = [name.decode() for *_, source in clips for name in source["group"].numpy()]
        assert len(found) == data.num_videos[split]
        assert set(found) == {row.group for row in data.manifest.rows if row.split == split}


def test_validation_is_cut_of_what_is_not_in_the_test(blob_store):
    held_out = set()
    for fold in (1, 2, 3):
        config = SplitConfig(folds=5, fold=2, val_folds=3, val_fold=fold)
        rows = resplit(blob_store.manifest, config).rows
        groups = {split: {r.group for r in rows if r.split == split} for split in ("val", "test")}
        assert not groups["val"] & (groups["test"] | held_out)
        assert len(groups["test"]) == 4
        held_out |= groups["val"]
    assert len(held_out) == 16
    # Without folds the test stays as it was prepared.
    rows = resplit(blob_store.manifest, SplitConfig(val_folds=4)).rows
    before = {row.path for row in blob_store.manifest.rows if row.split == "test"}
    assert {row.path for row in rows if row.split == "test"} == before
    assert sum(row.split == "val" for row in rows) == 16
    # The only group of a class is for training; each other one is held out once.
    rest = [row for row in blob_store.manifest.rows if row.split != "test"]
    only = rest[0].group
    rows = tuple(
        dataclasses.replace(row, label="rare") if row.group == only else row for row in rest
    )
    held_out = set()
    for fold in (1, 2, 3):
        split = resplit(Manifest(rows=rows), SplitConfig(val_folds=3, val_fold=fold)).rows
        assert {row.label for row in split if row.split == "train"} == {"left", "right", "rare"}
        held_out |= {row.group for row in split if row.split == "val"}
    assert held_out == {row.group for row in rows} - {only}


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (SplitConfig(folds=21), DataError, "at most as many as groups, of which there are 20"),
        (SplitConfig(folds=4, fold=5), ConfigError, "a number from 1 to 4, got 5"),
        (SplitConfig(val_folds=17), DataError, "not in the test, of which there are 16, got 17"),
    ],
)
def test_folds_that_cannot_be(blob_store, config, error, message):
    with pytest.raises(error, match=message):
        resplit(blob_store.manifest, config)
