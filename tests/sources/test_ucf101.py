from __future__ import annotations

import re

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.prepare.leaks import crossing
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.ucf101 import scan_ucf101

VIDEOS = (
    "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
    "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
    "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi",
    "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi",
)


@pytest.fixture
def lists(write):
    folder = "ucfTrainTestlist"
    write(f"{folder}/classInd.txt", "1 ApplyEyeMakeup", "37 HandstandPushups", newline="\r\n")
    test = (
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    )
    train = (
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi",
        "HandstandPushups/v_HandStandPushups_g08_c01.avi",
    )
    write(f"{folder}/testlist01.txt", *test, newline="\r\n")
    write(f"{folder}/trainlist01.txt", f"{train[0]} 1", f"{train[1]} 1", f"{train[2]} 37")
    write(f"{folder}/testlist02.txt", *train)
    write(f"{folder}/trainlist02.txt", f"{test[0]} 1", "", f"{test[1]} 37")
    return folder


def test_official_split(touch, lists, table):
    root = touch(*VIDEOS)

    assert table(scan_ucf101(root)) == [
        (VIDEOS[0], "ApplyEyeMakeup", "ApplyEyeMakeup_g01", "test"),
        (VIDEOS[1], "ApplyEyeMakeup", "ApplyEyeMakeup_g08", "train"),
        (VIDEOS[2], "ApplyEyeMakeup", "ApplyEyeMakeup_g08", "train"),
        (VIDEOS[3], "HandstandPushups", "HandstandPushups_g01", "test"),
        (VIDEOS[4], "HandstandPushups", "HandstandPushups_g08", "train"),
    ]
    assert not crossing(scan_ucf101(root).rows)


def test_fold(touch, lists, table):
    root = touch(*VIDEOS)

    splits = [row.split for row in scan_ucf101(root, fold=2).rows]

    assert splits == ["train", "test", "test", "train", "test"]


@pytest.mark.parametrize("fold", [0, 4])
def test_fold_that_is_not_there(touch, lists, fold):
    with pytest.raises(ConfigError, match=f"--fold: expected a number from 1 to 3, got {fold}"):
        scan_ucf101(touch(*VIDEOS), fold=fold)


def test_videos_in_one_folder_and_in_the_other_spelling(touch, lists):
    root = touch(
        *("UCF101/" + name.split("/")[-1].replace("HandStand", "Handstand") for name in VIDEOS)
    )

    rows = scan_ucf101(root).rows

    assert rows[-1].path == str(root / "UCF101/v_HandstandPushups_g08_c01.avi")
    assert [row.label for row in rows[3:]] == ["HandstandPushups"] * 2


def test_class_names_are_those_of_the_index(touch, lists, write):
    write(f"{lists}/testlist01.txt", "HandStandPushups/v_HandStandPushups_g01_c01.avi")

    assert {row.label for row in scan_ucf101(touch(*VIDEOS[1:])).rows} == {
        "ApplyEyeMakeup",
        "HandstandPushups",
    }


def test_video_that_is_not_listed_is_left_out(touch, lists):
    root = touch(*VIDEOS, "UCF-101/Extra/v_Extra_g01_c01.avi", "UCF-101/notes.txt")

    message = "left out 1 video that the data set has no label for: UCF-101/Extra/v_Extra_g01_c01.a"
    with pytest.warns(LeftOutWarning, match=message) as record:
        assert len(scan_ucf101(root).rows) == 5
    assert record[0].filename == __file__


def test_lists_beside_the_videos_or_elsewhere(touch, lists, tmp_path):
    touch(*VIDEOS)
    videos = tmp_path / "UCF-101"
    found = scan_ucf101(videos)

    (tmp_path / lists).rename(tmp_path / "lists")

    assert scan_ucf101(videos, annotations=str(tmp_path / "lists")) == found
    assert scan_ucf101(videos, annotations=str(tmp_path / "lists/trainlist01.txt")) == found
    with pytest.raises(DataError, match="found none in .* Download UCF101TrainTestSplits-Recogn"):
        scan_ucf101(videos)


@pytest.mark.parametrize(
    "line",
    [
        "v_ApplyEyeMakeup_g01_c01.avi",
        "Swimming/v_Swimming_g01_c01.avi 3",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_c01.avi",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi one",
    ],
)
def test_line_that_is_not_as_expected(touch, lists, write, line):
    file = write(f"{lists}/testlist01.txt", "", line)

    message = f"{file}, line 2: expected a class of classInd.txt and a video, such as Archery/"
    with pytest.raises(DataError, match=f"{re.escape(message)}.* got {re.escape(repr(line))}"):
        scan_ucf101(touch(*VIDEOS))


@pytest.mark.parametrize("line", ["ApplyEyeMakeup", "one ApplyEyeMakeup", "1 "])
def test_class_index_that_is_not_as_expected(touch, lists, write, line):
    file = write(f"{lists}/classInd.txt", line)

    message = f"{file}, line 1: expected a number and a class name, got {line.strip()!r}"
    with pytest.raises(DataError, match=re.escape(message)):
        scan_ucf101(touch(*VIDEOS))


def test_list_of_the_test_that_is_missing(touch, lists, tmp_path):
    (tmp_path / lists / "testlist01.txt").unlink()

    with pytest.raises(DataError, match=r"testlist01.txt: cannot be read: No such file"):
        scan_ucf101(touch(*VIDEOS))
