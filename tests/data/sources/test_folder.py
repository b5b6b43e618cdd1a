from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from pipeline.data.sources.folder import LeftOutWarning, scan_folder
from pipeline.errors import DataError

VIDEOS = os.environ.get("PIPELINE_VIDEOS")


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def table(root: Path) -> list[tuple[str, str, str]]:
    rows = scan_folder(root).rows
    return [(Path(r.path).relative_to(root).as_posix(), r.label, r.group) for r in rows]


def test_lists_videos_sorted_with_labels_and_groups(tmp_path: Path) -> None:
    make(
        tmp_path,
        "walk/b.MP4",
        "walk/a.avi",
        "walk/ann/2.webm",
        "run fast/ann/1.mkv",
        "run fast/day 1/bob/1.mov",
        "Füße/ü ö.mpg",
    )

    assert table(tmp_path) == [
        ("Füße/ü ö.mpg", "Füße", "Füße/ü ö"),
        ("run fast/ann/1.mkv", "run fast", "ann"),
        ("run fast/day 1/bob/1.mov", "run fast", "day 1/bob"),
        ("walk/a.avi", "walk", "walk/a"),
        ("walk/ann/2.webm", "walk", "ann"),
        ("walk/b.MP4", "walk", "walk/b"),
    ]
    assert {row.split for row in scan_folder(tmp_path).rows} == {""}


def test_files_of_the_same_name_in_two_classes_are_two_groups(tmp_path: Path) -> None:
    make(tmp_path, "walk/001.mp4", "run/001.mp4")

    assert [group for *_, group in table(tmp_path)] == ["run/001", "walk/001"]


def test_a_group_has_no_blanks_around_it(tmp_path: Path) -> None:
    make(tmp_path, "walk/ann/1.mp4", "run/ ann/1.mp4", "run/bob .mp4")

    assert [group for *_, group in table(tmp_path)] == ["ann", "run/bob", "ann"]


def test_passes_over_hidden_files_and_folders(tmp_path: Path) -> None:
    make(tmp_path, "walk/a.avi", "run/a.avi")
    make(tmp_path, ".git/a.avi", "@eaDir/a.avi", "__MACOSX/walk/a.avi", ".DS_Store")
    make(tmp_path, "walk/._a.avi", "walk/@eaDir/a.avi", "walk/.cache/a.avi")

    assert [path for path, *_ in table(tmp_path)] == ["run/a.avi", "walk/a.avi"]


def test_follows_links_to_folders_and_files(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", "ann/1.avi")
    root = make(tmp_path / "root", "run/a.avi")
    (root / "walk").symlink_to(elsewhere)
    (root / "run" / "b.avi").symlink_to(elsewhere / "ann/1.avi")

    assert [path for path, *_ in table(root)] == ["run/a.avi", "run/b.avi", "walk/ann/1.avi"]


def test_link_in_a_circle(tmp_path: Path) -> None:
    make(tmp_path, "walk/a.avi", "run/a.avi")
    (tmp_path / "walk" / "again").symlink_to(tmp_path)

    with pytest.raises(DataError, match=r"walk/again: a link to a folder that it lies in"):
        scan_folder(tmp_path)


def test_warns_of_files_that_it_leaves_out(tmp_path: Path) -> None:
    make(tmp_path, "walk/a.avi", "run/a.avi", "walk/a.txt", "README.md", "loose.avi", "run/x/y.csv")

    message = (
        "left out 4 files, outside of a class folder or not named as a video: README.md, "
        "loose.avi, run/x/y.csv, walk/a.txt"
    )
    with pytest.warns(LeftOutWarning, match=re.escape(message)):
        scan_folder(tmp_path)


def test_without_labels_where_only_a_check_is_wanted(tmp_path: Path) -> None:
    make(tmp_path, "b.MP4", "a.avi", "notes.txt", "old/b.avi")

    with pytest.warns(LeftOutWarning, match="left out 1 file, not named as a video: notes.txt"):
        rows = scan_folder(tmp_path, labelled=False).rows

    assert [(Path(row.path).name, row.label, row.group) for row in rows] == [
        ("a.avi", "", "a.avi"),
        ("b.MP4", "", "b.MP4"),
        ("b.avi", "", "old/b.avi"),
    ]


def test_a_video_beside_class_folders_does_not_cost_a_check_the_labels(tmp_path: Path) -> None:
    make(tmp_path, "loose.avi", "walk/a.avi", "run/a.avi")
    with pytest.warns(LeftOutWarning, match=r"left out 1 file, .*: loose.avi"):
        assert scan_folder(tmp_path, labelled=False).class_names == ("run", "walk")
    (tmp_path / "sit").mkdir()
    with pytest.raises(DataError, match="got none in 'sit'"):
        scan_folder(tmp_path, labelled=False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a.avi", "b.MP4"],
            "no class folders, but 2 videos directly in it. Expected one folder a",
        ),
        ([".hidden/a.avi"], "has neither class folders nor videos. Expected one"),
        (["run/a.avi", "walk/a.txt", "sit/.a.avi"], "got none in 'sit', 'walk'"),
        (["run/a.avi"], "expected two classes or more, got only 'run'"),
        (["train/run/a.avi", "test/run/b.avi"], r"splits \(test, train\).*: --source csv"),
    ],
)
def test_layout_that_is_not_as_expected(tmp_path: Path, names: list[str], message: str) -> None:
    make(tmp_path, *names)

    with pytest.raises(DataError, match=message):
        scan_folder(tmp_path)


def test_path_that_is_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "file")

    with pytest.raises(DataError, match="none does not exist. Expected one folder a class"):
        scan_folder(tmp_path / "none")
    with pytest.raises(DataError, match="file is not a folder. Expected one folder a class"):
        scan_folder(tmp_path / "file")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    make(tmp_path, "run/a.avi", "walk/b.avi", os.fsdecode(b"walk/\xff.avi"))

    with pytest.raises(DataError, match=r"expected a name in UTF-8; rename the file"):
        scan_folder(tmp_path)


@pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")
def test_real_videos() -> None:
    manifest = scan_folder(Path(VIDEOS or "") / "ut_interaction")

    assert len(manifest.rows) == 120
    assert manifest.class_names == ("hug", "kick", "point", "punch", "push", "shake_hands")
    assert len(manifest.groups) == 120
