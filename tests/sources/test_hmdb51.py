from __future__ import annotations

import re

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.prepare.leaks import crossing
from pipeline.sources.hmdb51 import scan_hmdb51
from pipeline.sources.video_index import CrossingGroupsWarning

LISTS = "testTrainMulti_7030_splits"
APRIL = "April_09_brush_hair_u_nm_np1_ba_goo_0.avi"
NEW_AUDIO = "Brushing_Her_Hair__[_NEW_AUDIO_]_UPDATED!!!!_brush_hair_h_cm_np1_le_goo_1.avi"
UNUSED = "red_head_brush_hair_u_cm_np1_ba_goo_0.avi"
STAIRS = "climb #2; up & down @home_climb_stairs_f_cm_np1_ba_med_3.avi"
PRELINGER = "Prelinger_HabitPat1954_{}_u_nm_np1_fr_goo_16.avi"
VIDEOS = (
    f"hmdb51_org/brush_hair/{APRIL}",
    f"hmdb51_org/brush_hair/{NEW_AUDIO}",
    f"hmdb51_org/brush_hair/{PRELINGER.format('brush_hair')}",
    f"hmdb51_org/brush_hair/{UNUSED}",
    f"hmdb51_org/climb_stairs/{PRELINGER.format('climb_stairs')}",
    f"hmdb51_org/climb_stairs/{STAIRS}",
)


@pytest.fixture
def lists(write):
    write(
        f"{LISTS}/brush_hair_test_split1.txt",
        f"{APRIL} 1 ",
        f"{NEW_AUDIO} 2 ",
        f"{PRELINGER.format('brush_hair')} 2 ",
        f"{UNUSED} 0 ",
    )
    write(
        f"{LISTS}/climb_stairs_test_split1.txt",
        f"{PRELINGER.format('climb_stairs')} 1 ",
        f"{STAIRS} 2 ",
    )
    write(f"{LISTS}/brush_hair_test_split3.txt", f"{APRIL} 2 ", f"{UNUSED} 1 ")
    write(f"{LISTS}/climb_stairs_test_split3.txt", f"{STAIRS} 1 ")
    return LISTS


def test_official_split(touch, lists, table):
    manifest = scan_hmdb51(touch(*VIDEOS))

    assert table(manifest) == [
        (VIDEOS[0], "brush_hair", "brush_hair/April_09", "train"),
        (
            VIDEOS[1],
            "brush_hair",
            "brush_hair/Brushing_Her_Hair__[_NEW_AUDIO_]_UPDATED!!!!",
            "test",
        ),
        (VIDEOS[2], "brush_hair", "brush_hair/Prelinger_HabitPat1954", "test"),
        (VIDEOS[4], "climb_stairs", "climb_stairs/Prelinger_HabitPat1954", "train"),
        (VIDEOS[5], "climb_stairs", "climb_stairs/climb #2; up & down @home", "test"),
    ]
    assert not crossing(manifest.rows)


def test_fold(touch, lists):
    root = touch(VIDEOS[0], VIDEOS[3], VIDEOS[5])

    rows = scan_hmdb51(root, fold=3).rows

    assert [(row.group, row.split) for row in rows] == [
        ("brush_hair/April_09", "test"),
        ("brush_hair/red_head", "train"),
        ("climb_stairs/climb #2; up & down @home", "train"),
    ]


def test_fold_that_is_not_there(touch, lists):
    with pytest.raises(ConfigError, match="--fold: expected a number from 1 to 3, got 4"):
        scan_hmdb51(touch(*VIDEOS), fold=4)


def test_source_video_in_both_splits_of_a_class(touch, write, lists):
    clips = [APRIL.replace("_0.avi", f"_{number}.avi") for number in range(3)]
    write(f"{LISTS}/brush_hair_test_split1.txt", *map("{} {}".format, clips, (1, 1, 2)))
    root = touch(*(f"brush_hair/{clip}" for clip in clips), *VIDEOS[4:])

    message = (
        "1 source video in more than one split: brush_hair/April_09. The splits are kept as they "
        "are published, and each such video counts as one group a split."
    )
    with pytest.warns(CrossingGroupsWarning, match=message) as record:
        manifest = scan_hmdb51(root)

    assert not crossing(manifest.rows)
    assert [(row.group, row.split) for row in manifest.rows[:4]] == [
        ("brush_hair/April_09 (train)", "train"),
        ("brush_hair/April_09 (train)", "train"),
        ("brush_hair/April_09 (test)", "test"),
        ("climb_stairs/Prelinger_HabitPat1954", "train"),
    ]
    assert record[0].filename == __file__


@pytest.mark.parametrize("folder", ["test_train_splits", f"test_train_splits/{LISTS}", "lists"])
def test_lists_elsewhere(touch, lists, tmp_path, folder):
    root = touch(*VIDEOS)
    found = scan_hmdb51(root)
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / lists).rename(tmp_path / folder)

    if folder == "lists":
        with pytest.raises(
            DataError, match=r"found none in .* Download test_train_splits.rar from https://serre"
        ):
            scan_hmdb51(root)
    assert scan_hmdb51(root, annotations="" if folder != "lists" else str(root / folder)) == found


@pytest.mark.parametrize("line", [f"{APRIL} 3", APRIL, "1"])
def test_line_that_is_not_as_expected(touch, lists, write, line):
    file = write(f"{lists}/climb_stairs_test_split1.txt", f"{STAIRS} 1", line)

    message = f"{file}, line 2: expected a video and 0, 1 or 2, got {line!r}."
    with pytest.raises(DataError, match=re.escape(message)):
        scan_hmdb51(touch(*VIDEOS))


def test_a_class_without_its_list(touch, lists, tmp_path):
    (tmp_path / f"{lists}/climb_stairs_test_split1.txt").unlink()

    message = rf"expected .*/{lists}/climb_stairs_test_split1.txt, since .* Download test_train"
    with pytest.raises(DataError, match=message):
        scan_hmdb51(touch(*VIDEOS))
