from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.ut_interaction import scan_ut_interaction

VIDEOS = os.environ.get("PIPELINE_VIDEOS")
IN_CLASSES = (
    "ut_interaction/hug/set1_seq01_002.avi",
    "ut_interaction/hug/set1_seq10_058.avi",
    "ut_interaction/hug/set2_seq11_005.avi",
    "ut_interaction/kick/set1_seq01_001.avi",
    "ut_interaction/kick/set2_seq20_059.avi",
)
OFFICIAL = (
    "segmented_set1/0_1_4.avi",
    "segmented_set1/4_1_0.avi",
    "segmented_set1/58_10_1.avi",
    "segmented_set2/2_11_5.avi",
    "segmented_set2/4_11_3.avi",
    "segmented_set2/59_20_2.avi",
)


def test_all_videos_in_class_folders(touch, table):
    assert table(scan_ut_interaction(touch(*IN_CLASSES))) == [
        (IN_CLASSES[0], "hug", "seq01", ""),
        (IN_CLASSES[1], "hug", "seq10", ""),
        (IN_CLASSES[2], "hug", "seq11", ""),
        (IN_CLASSES[3], "kick", "seq01", ""),
        (IN_CLASSES[4], "kick", "seq20", ""),
    ]


def test_all_videos_as_published(touch, table):
    assert table(scan_ut_interaction(touch(*OFFICIAL))) == [
        (OFFICIAL[0], "punch", "seq01", ""),
        (OFFICIAL[1], "shake_hands", "seq01", ""),
        (OFFICIAL[2], "hug", "seq10", ""),
        (OFFICIAL[3], "push", "seq11", ""),
        (OFFICIAL[4], "point", "seq11", ""),
        (OFFICIAL[5], "kick", "seq20", ""),
    ]


@pytest.mark.parametrize(
    ("fold", "splits"),
    [
        (1, [("seq01", "test"), ("seq10", "train"), ("seq01", "test")]),
        (10, [("seq01", "train"), ("seq10", "test"), ("seq01", "train")]),
        (11, [("seq11", "test"), ("seq20", "train")]),
        (20, [("seq11", "train"), ("seq20", "test")]),
    ],
)
def test_fold_leaves_one_sequence_of_its_set_out(touch, fold, splits):
    rows = scan_ut_interaction(touch(*IN_CLASSES), fold=fold).rows

    assert [(row.group, row.split) for row in rows] == splits


@pytest.mark.parametrize("fold", [-1, 21])
def test_fold_that_is_not_there(touch, fold):
    with pytest.raises(ConfigError, match=f"--fold: expected a number from 0 to 20, got {fold}"):
        scan_ut_interaction(touch(*IN_CLASSES), fold=fold)


def test_other_videos_are_left_out(touch):
    others = ("wave/set1_seq01_001.avi", "hug/set1_seq21_001.avi", "1_21_0.avi", "1_1_6.avi")

    with pytest.warns(LeftOutWarning, match="left out 4 videos .*: 1_1_6.avi, 1_21_0.avi, hug/"):
        assert len(scan_ut_interaction(touch(*IN_CLASSES, *others)).rows) == 5
    with pytest.warns(LeftOutWarning, match="left out 4 videos"):
        assert len(scan_ut_interaction(touch(), fold=20).rows) == 2


def test_no_videos(touch):
    with pytest.raises(
        DataError, match="expected videos, such as kick.*, found none, but 1 video of"
    ):
        scan_ut_interaction(touch("hug/1.avi"))
    with pytest.raises(DataError, match="none does not exist. Expected a folder of videos, such"):
        scan_ut_interaction(touch() / "none")
    with pytest.raises(DataError, match="1.avi is not a folder. Expected a folder of videos"):
        scan_ut_interaction(touch() / "hug/1.avi")


@pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")
def test_real_videos():
    manifest = scan_ut_interaction(Path(VIDEOS or "") / "ut_interaction")
    folds = [
        scan_ut_interaction(Path(VIDEOS or "") / "ut_interaction", fold=fold).rows
        for fold in range(1, 21)
    ]

    assert (len(manifest.rows), len(manifest.class_names), len(manifest.groups)) == (120, 6, 20)
    assert [len(rows) for rows in folds] == [60] * 20
    assert sum(row.split == "test" for rows in folds for row in rows) == 120
