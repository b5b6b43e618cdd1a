from __future__ import annotations

import re

import pytest

from pipeline.errors import DataError
from pipeline.prepare.leaks import crossing
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.kinetics import scan_kinetics
from pipeline.sources.video_index import CrossingGroupsWarning

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
VIDEOS = (
    "k400/train/air_drumming/_dbcJuKJQNs_000040_000050.mp4",
    "k400/train/air_drumming/_DBCJuKJQNs_000000_000010.mp4",
    "k400/val/playing rubik's cube/-3B32lodo2M_000059_000069.webm",
    "k400/replacement/zzz.mp4",
)


@pytest.fixture
def lists(write):
    write(
        "k400/annotations/train.csv",
        HEADER,
        '"air drumming",_dbcJuKJQNs,40,50,train,0',
        " air drumming, _DBCJuKJQNs ,0,10,train,0,more",
    )
    write(
        "k400/annotations/val.csv",
        HEADER.removesuffix(",is_cc"),
        '"playing rubik\'s cube",-3B32lodo2M,59,69,validate',
    )
    return write("k400/annotations/test.csv", HEADER, '"opening bottle, fast",zzz,5,15,test,1')


def test_official_splits(touch, lists, table):
    manifest = scan_kinetics(touch(*VIDEOS) / "k400")

    assert table(manifest) == [
        (VIDEOS[3], "opening bottle, fast", "zzz", "test"),
        (VIDEOS[1], "air drumming", "_DBCJuKJQNs", "train"),
        (VIDEOS[0], "air drumming", "_dbcJuKJQNs", "train"),
        (VIDEOS[2], "playing rubik's cube", "-3B32lodo2M", "val"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("youtube_id,time_start,time_end,split", "zzz,5,15,test"),
        (HEADER, ",zzz,5,15,test,1"),
        (),
    ],
)
def test_validation_is_the_test_where_the_test_has_no_labels(touch, lists, write, lines):
    if lines:
        write("k400/annotations/test.csv", *lines)
    else:
        lists.unlink()
    with pytest.warns(LeftOutWarning, match="left out 1 video .*: replacement/zzz.mp4"):
        rows = scan_kinetics(touch(*VIDEOS) / "k400").rows

    assert [row.split for row in rows] == ["train", "train", "test"]


def test_list_without_a_column_of_splits(touch, lists, write):
    write(
        "k400/annotations/val.csv",
        "label,youtube_id,time_start,time_end",
        "abseiling,-3B32lodo2M,59,69.0",
    )
    rows = scan_kinetics(touch(*VIDEOS) / "k400").rows

    assert [row.split for row in rows] == ["test", "train", "train", "val"]


def test_missing_clip_is_kept(touch, lists):
    root = touch(*VIDEOS[2:]) / "k400"

    rows = scan_kinetics(root).rows

    assert len(rows) == 4
    assert rows[1].path == str(root / "air drumming/_dbcJuKJQNs_000040_000050.mp4")


def test_one_list_and_lists_beside_the_clips(touch, lists):
    root = touch(*VIDEOS) / "k400"
    train = str(root / "annotations/train.csv")

    rows = scan_kinetics(root / "train", annotations=train).rows

    assert [row.split for row in rows] == ["train", "train"]
    assert len(scan_kinetics(root / "train").rows) == 4
    with pytest.raises(
        DataError, match=r"\*train\*.csv, \*val\*.csv, \*test\*.csv, found none .* Download train.c"
    ):
        scan_kinetics(root / "train", annotations=str(root / "val"))


def test_video_of_youtube_in_two_splits(touch, lists, write):
    write("k400/annotations/test.csv", HEADER, "abseiling,_dbcJuKJQNs,5,15,test,1")

    with pytest.warns(CrossingGroupsWarning, match="1 source video .*: _dbcJuKJQNs"):
        manifest = scan_kinetics(touch(*VIDEOS[:3]) / "k400")

    assert not crossing(manifest.rows)
    assert "_dbcJuKJQNs (test)" in manifest.groups


@pytest.mark.parametrize(
    "line",
    [
        "abseiling,a,x,10,train,0",
        "abseiling,a,10,10,train,0",
        "abseiling,a,-1,10,train,0",
        "abseiling,a,0,inf,train,0",
        "abseiling,a,0,10,both,0",
        "abseiling,,0,10,train,0",
        "abseiling,a",
    ],
)
def test_line_that_is_not_as_expected(touch, lists, write, line):
    file = write("k400/annotations/train.csv", HEADER, "abseiling,b,0,10,train,0", line)

    message = f"{file}, line 3: expected a YouTube video, times in seconds and a split of train"
    with pytest.raises(DataError, match=re.escape(message)):
        scan_kinetics(touch(*VIDEOS) / "k400")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("label,id", "a,b"),
            "expected the columns youtube_id, time_start, time_end, got label, i",
        ),
        ((), "expected the columns youtube_id, time_start, time_end, got an empty file"),
        ((HEADER, "x" * 200_000), "line 2: expected CSV: field larger than field limit"),
    ],
)
def test_file_that_is_not_as_expected(touch, lists, write, lines, message):
    file = write("k400/annotations/train.csv", *lines)

    with pytest.raises(DataError, match=f"^{re.escape(str(file))}[:,] {re.escape(message)}"):
        scan_kinetics(touch(*VIDEOS) / "k400")


def test_file_that_is_not_text(touch, lists):
    lists.write_bytes(b"label,youtube_id\n\xff\xfe,")

    with pytest.raises(DataError, match=r"test.csv: expected text in UTF-8: "):
        scan_kinetics(touch(*VIDEOS) / "k400")
