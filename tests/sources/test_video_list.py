import re

import pytest

from pipeline.errors import DataError
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.video_list import scan_list


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
    ("name", "lines"),
    [
        ("label_map.txt", ("run fast", "", "3 jumps")),
        ("label_map_k400.txt", ("0 run fast", "1 3 jumps")),
        ("classes.txt", ("1\t3 jumps", "0  run fast")),
        ("names", ("run fast", "3 jumps")),
        ("class_names.txt", ("run fast", "3 jumps")),
        ("labels.txt", ("run fast", "3 jumps")),
    ],
)
def test_class_names(touch, write, lines, name):
    touch("a.mp4", "b.mp4")
    file, names = write("list.txt", "a.mp4 0", "b.mp4 1"), write(name, *lines)
    rows = scan_list(file, classes=str(names) if name == "names" else "").rows
    assert [row.label for row in rows] == ["run fast", "3 jumps"]


@pytest.mark.parametrize("lines", [("run", "run"), ("0 run", "1 run"), ("0 run", "0 walk"), ()])
def test_class_names_that_are_not_as_expected(touch, write, lines):
    touch("a.mp4")
    names, got = write("classes.txt", *lines), ", ".join(lines) or "an empty file"
    message = f"{names}: expected different class names, one a line, with or without a number befo"
    with pytest.raises(DataError, match=f"{re.escape(message)}.*got {got}"):
        scan_list(write("list.txt", "a.mp4 0"))


@pytest.mark.parametrize(
    ("files", "path", "classes", "message"),
    [
        (
            {"classes.txt": ["1 run", "2 walk"], "list.txt": ["a.mp4 2", "a.mp4 0"]},
            *("list.txt", ""),
            "list.txt, line 2: expected the number of a class that has a name, 1 to 2, got 0",
        ),
        (
            {"classes.txt": ["run"], "labels.txt": ["run"], "list.txt": ["a.mp4 0"]},
            *("list.txt", ""),
            "expected one file of class names, got classes.txt, labels.txt. Say which with --ann",
        ),
        (
            {"list.txt": ["a.mp4 0"]},
            *("list.txt", "none.txt"),
            "none.txt: cannot be read: No such file",
        ),
        (
            {"x_train_1.txt": ["a.mp4 0"], "x_train_2.txt": ["a.mp4 0"]},
            *("", ""),
            "got x_train_1.txt and x_train_2.txt. Put those of one fold into a folder of",
        ),
        ({}, "", "", "has none: expected a list, or a folder of lists such as"),
        ({}, "none", "", "none does not exist: expected a list, or a folder of"),
        ({"list.txt": ["b.mp4 0"]}, "list.txt", "", r"it lists, such as .*/b.mp4, found none\."),
        ({"list.txt": ["", " "]}, "list.txt", "", "expected the videos that it lists, found none"),
    ],
)
def test_lists_that_are_not_as_expected(touch, write, files, path, classes, message):
    root = touch("a.mp4")
    for name, lines in files.items():
        write(name, *lines)
    with pytest.raises(DataError, match=message):
        scan_list(root / path, classes=classes)
