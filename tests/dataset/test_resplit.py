import dataclasses

import pytest

from pipeline.config import ClipConfig, FramesConfig, RunConfig, SplitConfig
from pipeline.dataset.clip_batches import evaluation_clips
from pipeline.dataset.resplit import count_folds, resplit
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest
from pipeline.prepare.leaks import crossing

CONFIG = RunConfig(frames=FramesConfig(size=32), clip=ClipConfig(num_frames=4))


def test_each_video_is_in_the_test_of_one_fold(blob_store):
    tested = []
    for fold in range(1, 6):
        manifest = resplit(blob_store.manifest, SplitConfig(folds=5, fold=fold))
        assert not crossing(manifest.rows)  # no group in two splits
        tested += [row.path for row in manifest.rows if row.split == "test"]
    assert sorted(tested) == sorted(row.path for row in blob_store.manifest.rows)
    config = SplitConfig(folds="groups", fold=3)  # which leaves one group out
    assert count_folds(blob_store.manifest, config) == 20
    rows = resplit(blob_store.manifest, config).rows
    assert {row.group for row in rows if row.split == "test"} == {"g02"}
    assert {row.split for row in rows} == {"train", "test"}


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


def test_the_only_group_of_a_class_is_for_training(blob_store):
    """Each other group of those that are not in the test is held out once."""
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


def test_without_folds_the_test_stays_as_it_was_prepared(blob_store):
    rows = resplit(blob_store.manifest, SplitConfig(val_folds=4)).rows
    before = {row.path for row in blob_store.manifest.rows if row.split == "test"}
    assert {row.path for row in rows if row.split == "test"} == before
    assert sum(row.split == "val" for row in rows) == 16


def test_a_resplit_store_gives_the_videos_of_its_splits(blob_store):
    data = open_data(blob_store.path, split=SplitConfig(folds="groups", fold=7, val_folds=4))
    assert data.num_videos == {"train": 56, "val": 20, "test": 4}
    assert data.fingerprint != blob_store.fingerprint
    for split in data.num_videos:
        clips = evaluation_clips(data, CONFIG, split)
        found = [name.decode() for *_, source in clips for name in source["group"].numpy()]
        assert len(found) == data.num_videos[split]
        assert set(found) == {row.group for row in data.manifest.rows if row.split == split}


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
