import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.run import Run
from pipeline.sources.folder import LeftOutWarning, scan_folder


def table(root):
    rows = scan_folder(root).rows
    return [(Path(r.path).relative_to(root).as_posix(), r.label, r.group) for r in rows]


def paths(root):
    return [path for path, *_ in table(root)]


def test_lists_videos_sorted_with_labels_and_groups(touch):
    root = touch(
        *("walk/b.MP4", "walk/a.avi", "walk/ann/2.webm", "run fast/ann/1.mkv", "walk/ ann/1.mp4"),
        *("run fast/day 1/bob/1.mov", "Füße/ü ö.mpg", "run fast/a.avi", "run fast/bob .mp4"),
    )
    assert table(root) == [
        ("Füße/ü ö.mpg", "Füße", "Füße/ü ö"),
        ("run fast/a.avi", "run fast", "run fast/a"),
        ("run fast/ann/1.mkv", "run fast", "ann"),
        ("run fast/bob .mp4", "run fast", "run fast/bob"),
        ("run fast/day 1/bob/1.mov", "run fast", "day 1/bob"),
        ("walk/ ann/1.mp4", "walk", "ann"),
        ("walk/a.avi", "walk", "walk/a"),
        ("walk/ann/2.webm", "walk", "ann"),
        ("walk/b.MP4", "walk", "walk/b"),
    ]
    assert {row.split for row in scan_folder(root).rows} == {""}


def test_hidden_files_and_other_ones_are_left_out(touch):
    touch("walk/a.avi", "run/a.avi", ".git/a.avi", "@eaDir/a.avi", "__MACOSX/walk/a.avi")
    root = touch(".DS_Store", "walk/._a.avi", "walk/@eaDir/a.avi", "walk/.cache/a.avi")
    assert paths(root) == ["run/a.avi", "walk/a.avi"]
    root = touch("walk/a.avi", "run/a.avi", "walk/a.txt", "README.md", "loose.avi", "run/x/y.csv")
    message = "left out 4 files, outside of a .*: README.md, loose.avi, run/x/y.csv, walk/a.txt"
    with pytest.warns(LeftOutWarning, match=message):
        scan_folder(root)


def test_passes_over_what_clipline_made(touch, tmp_path, blob_store):
    touch("walk/a.avi", "run/a.avi", "walk/runs/b.avi")
    shutil.copytree(blob_store.path, tmp_path / "data" / "x")
    touch("data/y/check/data_report.json", "data/y/check/data_report.md")
    trained, merged = Run(tmp_path / "runs" / "x"), Run(tmp_path / "runs" / "y")
    for file in (trained.config_file, trained.class_names_file, merged.bundle_file):
        touch(file, file.with_name("a.avi"))
    assert paths(tmp_path) == ["run/a.avi", "walk/a.avi", "walk/runs/b.avi"]
    touch("data/notes.txt")  # So it is no folder of data sets alone.
    with pytest.raises(DataError, match="got none in 'data'"):
        table(tmp_path)


def warned(root):
    """The videos, and what the warnings name."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        videos = paths(root)
    assert all(each.category is LeftOutWarning for each in found)
    return videos, [str(each.message).rpartition(": ")[2] for each in found]


@pytest.mark.parametrize("place", ["again", "walk/ann/again"])
@pytest.mark.parametrize("target", [".", "walk", "walk/ann", "..", "run"])
def test_a_link_into_its_own_folder_is_left_out(touch, place, target):
    """Its files are listed where they lie, each once, however often the link could be followed."""
    root = touch("root/walk/ann/a.avi", "root/run/a.avi", "beside/b.avi") / "root"
    (root / place).symlink_to(root / target)
    assert warned(root) == (["run/a.avi", "walk/ann/a.avi"], [place])


@pytest.mark.parametrize(
    ("links", "videos", "told"),
    [
        (
            {"root/walk": "elsewhere", "root/run/b.avi": "elsewhere/ann/a.avi"},
            ["run/a.avi", "run/b.avi", "walk/ann/a.avi", "walk/bob/b.avi"],
            [],
        ),
        (  # between folders elsewhere
            {
                "elsewhere/ann/next": "elsewhere/bob",
                "elsewhere/bob/next": "elsewhere/ann",
                "root/walk": "elsewhere/ann",
            },
            ["run/a.avi", "walk/a.avi", "walk/next/b.avi"],
            ["walk/next/next"],
        ),
        (  # That two hold the same is for the search for copies to say, with their labels.
            {"root/jump": "elsewhere/ann", "root/walk": "elsewhere/ann"},
            ["jump/a.avi", "run/a.avi", "walk/a.avi"],
            [],
        ),
    ],
)
def test_links_to_files_and_folders_are_followed(touch, links, videos, told):
    root = touch("elsewhere/ann/a.avi", "elsewhere/bob/b.avi", "root/run/a.avi")
    for place, target in links.items():
        (root / place).symlink_to(root / target)
    assert warned(root / "root") == (videos, told)


def test_without_labels_where_only_a_check_is_wanted(touch):
    root = touch("b.MP4", "a.avi", "notes.txt", "old/b.avi")
    with pytest.warns(LeftOutWarning, match="left out 1 file, not named as a video: notes.txt"):
        rows = scan_folder(root, labelled=False).rows
    assert [(Path(row.path).name, row.label, row.group) for row in rows] == [
        ("a.avi", "", "a.avi"),
        ("b.MP4", "", "b.MP4"),
        ("b.avi", "", "old/b.avi"),
    ]
    touch("walk/a.avi")  # With two folders of videos, those beside them do not cost the labels.
    with pytest.warns(LeftOutWarning, match=r"left out 3 files, .*: a.avi, b.MP4, notes.txt"):
        assert scan_folder(root, labelled=False).class_names == ("old", "walk")
    (root / "sit").mkdir()
    with pytest.raises(DataError, match="got none in 'sit'"):
        scan_folder(root, labelled=False)


@pytest.mark.parametrize(
    ("names", "folder", "message"),
    [
        (["a.avi", "b.MP4"], "", "no class folders, but 2 videos directly in it. Expected one fol"),
        ([".hidden/a.avi"], "", "has neither class folders nor videos. Expected one"),
        (["run/a.avi", "walk/a.txt", "sit/.a.avi"], "", "got none in 'sit', 'walk'"),
        (["run/a.avi"], "", "expected two classes or more, got only 'run'"),
        (["train/run/a.avi", "test/run/b.avi"], "", r"splits \(test, train\).*: --source csv"),
        ([], "none", "none does not exist. Expected one folder a class"),
        (["file"], "file", "file is not a folder. Expected one folder a class"),
        pytest.param(
            *(["run/a.avi", "walk/b.avi", os.fsdecode(b"walk/\xff.avi")], ""),
            "expected a name in UTF-8; rename the file",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="others have no such names"),
        ),
    ],
)
def test_layout_that_is_not_as_expected(touch, names, folder, message):
    with pytest.raises(DataError, match=message):
        scan_folder(touch(*names) / folder)
