from __future__ import annotations

import re

import pytest

from pipeline.errors import DataError
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.video_list import scan_list


def test_list_beside_the_videos(touch, write, table):
    root = touch("run/a b.mp4", "walk/ü.avi", "walk/c, d.webm")
    file = write("my list.txt", "walk/c, d.webm 1", "", "run/a b.mp4\t0 ", "walk/ü.avi, 1")

    assert table(scan_list(file)) == [
        ("run/a b.mp4", "class 0", "run/a b.mp4", ""),
        ("walk/c, d.webm", "class 1", "walk/c, d.webm", ""),
        ("walk/ü.avi", "class 1", "walk/ü.avi", ""),
    ]
    assert root


def test_numbers_are_padded_so_that_they_sort(touch, write):
    touch("a.mp4")
    file = write("list.csv", "a.mp4,2", "b.mp4,10", "c.mp4,9")

    assert scan_list(file).class_names == ("class 02", "class 09", "class 10")


def test_folder_of_lists_with_videos_in_folders_of_splits(touch, write, table):
    root = touch("k/videos_train/a/1.mp4", "k/videos_val/a/2.mp4", "k/videos/3.mp4")
    write("k/kinetics_train_list.txt", "a/1.mp4 0")
    write("k/kinetics_val_list.txt", "a/2.mp4 0", "a/missing.mp4 1")
    write("k/test.csv", f"{root}/k/videos/3.mp4 1")
    write("k/notes.txt", "nothing")
    write("k/label_map_k400.txt", "class 0", "class 1")

    with pytest.warns(LeftOutWarning, match="left out 1 file without a split in .*: notes.txt"):
        manifest = scan_list(root / "k")

    assert table(manifest) == [
        ("k/a/missing.mp4", "class 1", "a/missing.mp4", "val"),
        ("k/videos/3.mp4", "class 1", f"{root}/k/videos/3.mp4", "test"),
        ("k/videos_train/a/1.mp4", "class 0", "a/1.mp4", "train"),
        ("k/videos_val/a/2.mp4", "class 0", "a/2.mp4", "val"),
    ]


@pytest.mark.parametrize(
    "lines",
    [("run fast", "", "3 jumps"), ("0 run fast", "1 3 jumps"), ("1\t3 jumps", "0  run fast")],
)
@pytest.mark.parametrize("name", ["label_map.txt", "label_map_k400.txt", "classes.txt", "names"])
def test_class_names(touch, write, lines, name):
    touch("a.mp4", "b.mp4")
    file = write("list.txt", "a.mp4 0", "b.mp4 1")
    names = write(name, *lines)

    rows = scan_list(file, classes=str(names) if name == "names" else "").rows

    assert [row.label for row in rows] == ["run fast", "3 jumps"]


def test_class_without_a_name(touch, write):
    touch("a.mp4")
    write("classes.txt", "1 run", "2 walk")
    file = write("list.txt", "a.mp4 2", "a.mp4 0")

    with pytest.raises(
        DataError,
        match=r"list.txt, line 2: expected the number of a class that has a name, 1 to 2, got 0",
    ):
        scan_list(file)


@pytest.mark.parametrize("lines", [("run", "run"), ("0 run", "1 run"), ("0 run", "0 walk"), ()])
def test_class_names_that_are_not_as_expected(touch, write, lines):
    touch("a.mp4")
    names = write("classes.txt", *lines)
    got = ", ".join(lines) or "an empty file"

    message = f"{names}: expected different class names, one a line, with or without a number befo"
    with pytest.raises(DataError, match=f"{re.escape(message)}.*got {got}"):
        scan_list(write("list.txt", "a.mp4 0"))


def test_several_files_of_class_names(touch, write):
    touch("a.mp4")
    write("classes.txt", "run")
    write("labels.txt", "run")

    message = "expected one file of class names, got classes.txt, labels.txt. Say which with --ann"
    with pytest.raises(DataError, match=message):
        scan_list(write("list.txt", "a.mp4 0"))


def test_file_of_class_names_that_is_missing(touch, write):
    touch("a.mp4")

    with pytest.raises(DataError, match="none.txt: cannot be read: No such file"):
        scan_list(write("list.txt", "a.mp4 0"), classes="none.txt")


@pytest.mark.parametrize(
    "line",
    [
        "a.mp4",
        "a.mp4 run",
        "a.mp4 -1",
        "a.mp4 1 3",
        "a.mp4 1,3",
        "folder/1 163 1",
        "4",
        "a.mp4 1.0",
    ],
)
def test_line_that_is_not_as_expected(touch, write, line):
    touch("a.mp4")
    file = write("list.txt", "a.mp4 0", line)

    message = f"{file}, line 2: expected a video file and the number of its class, such as run/001"
    with pytest.raises(DataError, match=f"{re.escape(message)}.*got {re.escape(repr(line))}. List"):
        scan_list(file)


def test_two_lists_of_a_split(touch, write):
    root = touch("a.mp4")
    write("x_train_split_1_videos.txt", "a.mp4 0")
    write("x_train_split_2_videos.txt", "a.mp4 0")

    message = (
        "expected one list for each split, got x_train_split_1_videos.txt and "
        "x_train_split_2_videos.txt. Put those of one fold into a folder of their own."
    )
    with pytest.raises(DataError, match=message):
        scan_list(root)


def test_no_lists_and_no_videos(touch, write):
    root = touch("train.mp4")
    file = write("list.txt", "b.mp4 0")

    with pytest.raises(DataError, match="has none: expected a list, or a folder of lists such as"):
        scan_list(root)
    with pytest.raises(DataError, match="none does not exist: expected a list, or a folder of"):
        scan_list(root / "none")
    with pytest.raises(DataError, match=r"it lists, such as .*/b.mp4, found none\."):
        scan_list(file)
    with pytest.raises(DataError, match="expected the videos that it lists, found none"):
        scan_list(write("list.txt", "", " "))
