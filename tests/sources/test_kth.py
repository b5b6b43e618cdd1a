from __future__ import annotations

import collections
import re

import pytest

from pipeline.errors import DataError
from pipeline.prepare.leaks import crossing
from pipeline.sources.kth import scan_kth

VIDEOS = (
    "boxing/person01_boxing_d1_uncomp.avi",
    "handclapping/person13_handclapping_d1_uncomp.avi",
    "jogging/person07_jogging_d4_uncomp.avi",
)
SEQUENCES = (
    "",
    "This database contains sequences of six classes of actions performed by",
    "25 subjects in four different conditions (see below).",
    "",
    "Training:   person11, 12, 13, 14, 15, 16, 17, 18",
    "Validation: person19, 20, 21, 23, 24, 25, 01, 04",
    "Test:       person22, 02, 03, 05, 06, 07, 08, 09, 10 ",
    "",
    "person01_boxing_d1\t\tframes\t1-95, 96-185, 186-245, 246-360",
    "",
    "person07_jogging_d4    \t\tframes\t1-64, 270-332, 194-264",
    "person13_handclapping_d1\tframes\t1-124",
    "person13_handclapping_d3\t*missing*",
)


def parts(manifest):
    return [
        (row.label, row.group, row.split, row.start_seconds, row.end_seconds)
        for row in manifest.rows
    ]


def test_each_time_the_action_is_done(touch, write):
    write("00sequences.txt", *SEQUENCES, newline="\r\n")
    root = touch(*VIDEOS)

    manifest = scan_kth(root)

    assert parts(manifest) == [
        ("boxing", "person01", "val", 0, 3.8),
        ("boxing", "person01", "val", 3.8, 7.4),
        ("boxing", "person01", "val", 7.4, 9.8),
        ("boxing", "person01", "val", 9.8, 14.4),
        ("handclapping", "person13", "train", 0, 4.96),
        ("jogging", "person07", "test", 0, 2.56),
        ("jogging", "person07", "test", 7.72, 10.56),
        ("jogging", "person07", "test", 10.76, 13.28),
    ]
    assert [row.path for row in manifest.rows[3:6]] == [str(root / video) for video in VIDEOS]
    assert not crossing(manifest.rows)


def test_whole_videos_without_the_list(touch, table):
    root = touch(*VIDEOS)

    manifest = scan_kth(root)

    found = {path: rest for path, *rest in table(manifest)}
    assert [found[video] for video in VIDEOS] == [
        ["boxing", "person01", "val"],
        ["handclapping", "person13", "train"],
        ["jogging", "person07", "test"],
    ]
    assert collections.Counter(row.split for row in manifest.rows) == {
        "train": 191,
        "val": 192,
        "test": 216,
    }
    assert len({row.path for row in manifest.rows}) == 599
    assert str(root / "handclapping/person13_handclapping_d3_uncomp.avi") not in found
    assert len(manifest.groups) == 25


def test_videos_elsewhere_and_in_another_format(touch, write):
    write("00sequences.txt", SEQUENCES[-3])
    root = touch("converted/person07_jogging_d4.mp4")

    assert scan_kth(root).rows[0].path == str(root / "converted/person07_jogging_d4.mp4")


def test_list_elsewhere(touch, write):
    file = write("lists/00sequences.txt", *SEQUENCES)
    root = touch(*VIDEOS)

    assert len(scan_kth(root).rows) == 599
    assert len(scan_kth(root, annotations=str(file)).rows) == 8
    with pytest.raises(
        DataError, match="00sequences.txt, found none in .*boxing. Download 00sequences.txt from ht"
    ):
        scan_kth(root, annotations=str(root / "boxing"))


@pytest.mark.parametrize(
    "line",
    [
        "person26_boxing_d1 frames 1-95",
        "person00_boxing_d1 frames 1-95",
        "person01_boxing_d5 frames 1-95",
        "person01_sitting_d1 frames 1-95",
        "person01_boxing_d1 frames 1-95, 96-",
        "person01_boxing_d1 frames 0-95",
        "person01_boxing_d1 frames 95-94",
        "person01_boxing_d1 frames",
        "person01_boxing_d1",
    ],
)
def test_line_that_is_not_as_expected(touch, write, line):
    file = write("00sequences.txt", *SEQUENCES, line)

    message = f"{file}, line 14: expected ranges of frames, such as 'person01_boxing_d1 frames "
    with pytest.raises(DataError, match=f"{re.escape(message)}.*got {re.escape(repr(line))}"):
        scan_kth(touch(*VIDEOS))
