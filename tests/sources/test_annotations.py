"""Official lists, and the videos that they name."""

import pytest

from pipeline.errors import DataError
from pipeline.manifest.rows import Row
from pipeline.sources.annotations import find_lists, read_lines, read_table
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.video_index import VideoIndex


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


def test_order_folders_and_nothing_found(touch):
    root = touch("b.txt", "a.txt", "c.csv", "folder.txt/file")
    assert find_lists(root, "", "c.*", "*.txt") == [root / n for n in ("a.txt", "b.txt", "c.csv")]
    message = (
        "expected the official lists, x.txt, y.txt, found none in .*folder.txt and beside it. Get "
        "them. Put them into the folder of the videos, o"
    )
    with pytest.raises(DataError, match=message):
        find_lists(root / "folder.txt", "", "x.txt", "y.txt", download="Get them.")


def test_table_with_a_byte_order_mark_and_short_lines(write):
    file = write("a.csv", "\ufefflabel,id", '"a, b",1', "c")
    assert list(read_table(file, "label", "id")) == [
        (f"{file}, line 2", {"label": "a, b", "id": "1"}),
        (f"{file}, line 3", {"label": "c", "id": ""}),
    ]
    with pytest.raises(DataError, match="a.txt: expected text, got NUL characters"):
        list(read_lines(write("a.txt", "a\0.avi 1")))


def test_finds_videos_by_name(touch):
    root = touch("b/X.AVI", "a/x.webm", "notes/y.txt", ".hidden/z.avi")
    index = VideoIndex(root, example="x.avi")
    assert [str(file) for file in index.files] == ["a/x.webm", "b/X.AVI"]
    assert index.locate("c/x.avi") == str(root / "a/x.webm")
    assert index.locate("c/X.avi") == str(root / "b/X.AVI")
    assert index.locate("c/y.avi", "other", "X") == str(root / "b/X.AVI")
    assert index.locate("c/y.avi") == str(root / "c/y.avi")

    index = VideoIndex(root, example="x.avi", ignore_case=True)
    path = index.locate("X.mp4")
    assert path == str(root / "a/x.webm")
    with pytest.warns(LeftOutWarning, match="left out 1 video .*: b/X.AVI"):
        index.manifest([Row(path=path, label="x", group="x")])
