from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.prepare.prepared import Store
from pipeline.run import Run
from pipeline.sources.folder import LeftOutWarning, scan_folder

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


def test_passes_over_what_clipline_made(tmp_path: Path, blob_store: Store, blob_run: Run) -> None:
    make(tmp_path, "walk/a.avi", "run/a.avi", "walk/runs/b.avi")
    shutil.copytree(blob_store.path, tmp_path / "data" / "x")
    make(tmp_path, "data/y/check/data_report.json", "data/y/check/data_report.md")
    shutil.copytree(blob_run.folder, tmp_path / "runs" / "x")

    assert [path for path, *_ in table(tmp_path)] == ["run/a.avi", "walk/a.avi", "walk/runs/b.avi"]
    make(tmp_path, "data/notes.txt")  # So it is no folder of data sets alone.
    with pytest.raises(DataError, match="got none in 'data'"):
        table(tmp_path)


def test_follows_links_to_folders_and_files(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", "ann/1.avi")
    root = make(tmp_path / "root", "run/a.avi")
    (root / "walk").symlink_to(elsewhere)
    (root / "run" / "b.avi").symlink_to(elsewhere / "ann/1.avi")

    assert [path for path, *_ in table(root)] == ["run/a.avi", "run/b.avi", "walk/ann/1.avi"]


def warned(root: Path) -> tuple[list[str], list[str]]:
    """The videos, and what the warnings name."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        paths = [path for path, *_ in table(root)]
    assert all(each.category is LeftOutWarning for each in found)
    return paths, [str(each.message).rpartition(": ")[2] for each in found]


@pytest.mark.parametrize("place", ["again", "walk/ann/again"])
@pytest.mark.parametrize("target", [".", "walk", "walk/ann", "..", "run"])
def test_a_link_into_its_own_folder_is_left_out(tmp_path: Path, place: str, target: str) -> None:
    """Its files are listed where they lie, each once, however often the link could be followed."""
    root = make(tmp_path / "root", "walk/ann/a.avi", "run/a.avi")
    make(tmp_path, "beside/b.avi")
    (root / place).symlink_to(root / target)

    assert warned(root) == (["run/a.avi", "walk/ann/a.avi"], [place])


def test_links_between_folders_elsewhere_end(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/ann/a.avi", "elsewhere/bob/b.avi", "root/run/a.avi")
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (elsewhere / "ann" / "next").symlink_to(elsewhere / "bob")
    (elsewhere / "bob" / "next").symlink_to(elsewhere / "ann")
    (root / "walk").symlink_to(elsewhere / "ann")

    paths = ["run/a.avi", "walk/a.avi", "walk/next/b.avi"]
    assert warned(root) == (paths, ["walk/next/next"])


def test_two_links_to_one_folder_are_two_folders(tmp_path: Path) -> None:
    """That they hold the same is for the search for copies to say, with their labels."""
    make(tmp_path, "elsewhere/a.avi", "root/jump/a.avi")
    for name in ("run", "walk"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "elsewhere")
    assert warned(tmp_path / "root") == (["jump/a.avi", "run/a.avi", "walk/a.avi"], [])


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
