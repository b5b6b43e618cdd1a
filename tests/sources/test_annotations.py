from __future__ import annotations

import pytest

from pipeline.errors import DataError
from pipeline.sources.annotations import find_lists, read_lines, read_table


def test_looks_in_the_folder_and_then_beside_it(touch):
    root = touch("set/videos/train.csv", "set/train.csv", "set/lists/val.csv")

    def found(path, annotations="", *patterns):
        files = find_lists(path, annotations, *(patterns or ["train.csv"]), folders=["lists"])
        return [str(file.relative_to(root)) for file in files]

    assert found(root / "set/videos") == ["set/videos/train.csv"]
    assert found(root / "set/lists") == ["set/train.csv"]
    assert found(root / "set", "", "val.csv") == ["set/lists/val.csv"]
    assert found(root / "set/videos", "", "val.csv") == ["set/lists/val.csv"]
    assert found(root / "set/videos", str(root / "set")) == ["set/train.csv"]
    assert found(root / "set", str(root / "set/lists")) == []
    assert found(root / "set", str(root / "set/lists/val.csv"), "v*.csv") == ["set/lists/val.csv"]
    assert found(root / "set", str(root / "none")) == []


def test_order_and_folders(touch):
    root = touch("b.txt", "a.txt", "c.csv", "folder.txt/file")

    assert find_lists(root, "", "c.*", "*.txt") == [root / n for n in ("a.txt", "b.txt", "c.csv")]


def test_nothing_found(touch):
    root = touch("videos/1.avi")

    message = (
        "expected the official lists, a.txt, b.txt, found none in .*videos and beside it. Get "
    )
    with pytest.raises(
        DataError, match=f"{message}them. Put them into the folder of the videos, o"
    ):
        find_lists(root / "videos", "", "a.txt", "b.txt", download="Get them.")


def test_table_with_a_byte_order_mark_and_short_lines(write):
    file = write("a.csv", "\ufefflabel,id", '"a, b",1', "c")

    assert list(read_table(file, "label", "id")) == [
        (f"{file}, line 2", {"label": "a, b", "id": "1"}),
        (f"{file}, line 3", {"label": "c", "id": ""}),
    ]


def test_what_is_no_text(write):
    with pytest.raises(DataError, match="a.txt: expected text, got NUL characters"):
        list(read_lines(write("a.txt", "a\0.avi 1")))
