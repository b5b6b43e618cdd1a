"""Official lists and those of others, the videos that they name; and options of sources."""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import get_args

import pytest

from pipeline.config.prepare import PrepareConfig, SourceName
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Row, TableWarning
from pipeline.sources.folder import LeftOutWarning
from pipeline.sources.official import VideoIndex, find_lists, lines_in
from pipeline.sources.reading import SOURCES, read_manifest
from pipeline.sources.video_list import scan_list


def test_looks_in_the_folder_and_then_beside_it_and_reads_lines(touch, write):
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
    root = touch("b.txt", "a.txt", "c.csv", "folder.txt/file")
    assert find_lists(root, "", "c.*", "*.txt") == [root / n for n in ("a.txt", "b.txt", "c.csv")]
    message = "lists, x.txt, y.txt, found none in .*folder.txt and beside it. Get them. Put them"
    with pytest.raises(DataError, match=message):
        find_lists(root / "folder.txt", "", "x.txt", "y.txt", download="Get them.")
    file = write("a.csv", "\ufeff a b", " ", "c")
    assert list(lines_in(file)) == [(f"{file}, line 1", "a b"), (f"{file}, line 3", "c")]
    with pytest.raises(DataError, match="a.txt: expected text, got binary data"):
        list(lines_in(write("a.txt", "a" * 9999 + "\0.avi 1")))


def test_finds_videos_by_name(touch):
    root = touch("b/X.AVI", "a/x.webm", "notes/y.txt", ".hidden/z.avi")
    index = VideoIndex(root, example="x.avi")
    assert [str(file) for file in index.files] == ["a/x.webm", "b/X.AVI"]
    assert index.locate("c/x.avi") == str(root / "a/x.webm")
    assert index.locate("c/X.avi") == str(root / "b/X.AVI")
    assert index.locate("c/y.avi", "other", "X") == str(root / "b/X.AVI")
    assert index.locate("c/y.avi") == str(root / "c/y.avi")
    index = VideoIndex(root, example="x.avi", ignore_case=True)
    row = Row(path=index.locate("X.mp4"), label="x", group="x")
    with pytest.warns(LeftOutWarning, match="left out 1 video .*: b/X.AVI"):
        assert index.manifest([row]).rows[0].path == str(root / "a/x.webm")


def test_folder_of_lists_with_videos_in_folders_of_splits(touch, write):
    root = touch("k/videos_train/a/1.mp4", "k/videos_val/a/2.mp4", "k/videos/3.mp4")
    write("k/kinetics_train_list.txt", "a/1.mp4 0")
    write("k/kinetics_val_list.txt", "a/2.mp4 0", "a/missing.mp4 1")
    write("k/test.csv", f"{root}/k/videos/3.mp4 1")
    write("k/notes.txt", "nothing")
    write("k/label_map_k400.txt", "class 0", "class 1")
    with pytest.warns(LeftOutWarning, match="left out 1 file without a split in .*: notes.txt"):
        manifest = scan_list(root / "k")
    rows = [(Path(r.path).relative_to(root), r.label, r.group, r.split) for r in manifest.rows]
    assert [(path.as_posix(), *row) for path, *row in rows] == [
        ("k/a/missing.mp4", "class 1", "a/missing.mp4", "val"),
        ("k/videos/3.mp4", "class 1", f"{root}/k/videos/3.mp4", "test"),
        ("k/videos_train/a/1.mp4", "class 0", "a/1.mp4", "train"),
        ("k/videos_val/a/2.mp4", "class 0", "a/2.mp4", "val"),
    ]


def test_class_names_and_numbers(touch, write):
    videos = ("run/a b.mp4", "walk/c, d.webm", "walk/ü.avi")
    root = touch(*videos)
    file = write("my list.txt", "walk/c, d.webm 1", "", "run/a b.mp4\t0 ", "walk/ü.avi, 1")
    found = [(row.path, row.label, row.group, row.split) for row in scan_list(file).rows]
    labels = ("class 0", "class 1", "class 1")
    assert found == [(str(root / v), each, v, "") for v, each in zip(videos, labels, strict=True)]
    for name, lines in (
        ("label_map.txt", ("run fast", "", "3 jumps")),
        ("label_map_k400.txt", ("0 run fast", "1 3 jumps")),
        ("classes.txt", ("1\t3 jumps", "0  run fast")),
        *((name, ("run fast", "3 jumps")) for name in ("names", "class_names.txt", "labels.txt")),
    ):
        names = write(name, *lines)
        rows = scan_list(file, classes=str(names) if name == "names" else "").rows
        assert [row.label for row in rows] == ["run fast", "3 jumps", "3 jumps"]
        names.unlink()
    told = "line 2: expected a video file and the number of its class, such as run/001.mp4 3, got "
    wrong = "a.mp4|a.mp4 run|a.mp4 -1|a.mp4 1 3|a.mp4 1,3|a.mp4 1.0|4|a/1 63 1"
    for line in wrong.split("|"):
        with pytest.raises(DataError, match=re.escape(f"{told}'{line}'")):
            scan_list(write("wrong.txt", f"{videos[0]} 0", line))
    touch("a.mp4")
    file = write("list.csv", "a.mp4,2", "b.mp4,10", "c.mp4,9")
    assert scan_list(file).class_names == ("class 02", "class 09", "class 10"), "so they sort"
    expected = "expected different class names, one a line, with or without a number before each"
    for lines in (("run", "run"), ("0 run", "1 run"), ("0 run", "0 walk"), ()):
        names, got = write("classes.txt", *lines), ", ".join(lines) or "an empty file"
        with pytest.raises(DataError, match=f"{re.escape(str(names))}: {expected}, got {got}"):
            scan_list(file)


@pytest.mark.parametrize(
    ("files", "path", "classes", "message"),
    [
        (
            {"classes.txt": ["1 run", "2 walk"], "list.txt": ["a.mp4 2", "a.mp4 0"]},
            *("list.txt", "", "line 2: expected the number of a class that has .*, 1 to 2, got 0"),
        ),
        (
            {"classes.txt": [], "labels.txt": [], "list.txt": ["a.mp4 0"]},
            *("list.txt", "", "one file of class names, got classes.txt, labels.txt. Say which wi"),
        ),
        ({"list.txt": ["a.mp4 0"]}, "list.txt", "none.txt", "none.txt: cannot be read: No such"),
        ({"train.txt": ["a.mp4 0"], "train.csv": []}, "", "", "got train.csv and train.txt. Put"),
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


def configure(source, path="none", **options):
    return PrepareConfig(source=source, path=str(path), out="out", **options)


def test_options_that_a_source_does_not_take():
    events = ("point_seconds", "modifiers", "tiers", "subjects", "not_annotated")
    assert [source.name for source in SOURCES] == list(get_args(SourceName))
    for source, options, error, message in (
        ("folder", {"fold": 2}, ConfigError, "for --source ucf101, .*, or add --folds, which any"),
        ("kth", {"multilabel": True}, ConfigError, "--multilabel is for --source csv; leave it ou"),
        ("folder", {"annotations": "x"}, ConfigError, "--annotations is for --source list, .*jest"),
        ("ucf101", {"group_regex": "x"}, ConfigError, "--group-regex is for .*; leave it out$"),
        ("folder", {"videos": "v"}, ConfigError, "--videos is for --source events; leave it out$"),
        *(("folder", {n: 1}, ConfigError, "is for --source events; leave it out$") for n in events),
        ("folder", {"folds": 5, "fold": 2}, DataError, "none does not exist"),
    ):
        with pytest.raises(error, match=message):
            read_manifest(configure(source, **options))


def test_a_fold_without_test_videos_a_line_there_twice_and_a_video_without_group(touch, write):
    root = touch("kick/set1_seq01_000.avi", "hug/set1_seq02_001.avi")
    with pytest.raises(DataError, match="none of the test videos of --fold 5 is there"):
        read_manifest(configure("ut_interaction", root, fold=5))
    table = write("table.csv", "path,label", "a.avi,run", "b.avi,walk", "a.avi,run", "a.avi,walk")
    config = configure("csv", table)
    with pytest.warns(TableWarning, match="left out 1 row, the same as one before: .*a.avi$"):
        assert [r.label for r in read_manifest(config).rows] == ["run", "walk", "walk"]
    write("table.csv", "path,label,group", "a/a.avi,run,ann", "/b.avi,walk,", "c.avi,run,b")
    with pytest.warns(TableWarning, match="1 video without a group, each taken for one of its own"):
        read_manifest(config)
    with warnings.catch_warnings(action="error"):
        read_manifest(dataclasses.replace(config, classes=("run",)))
    write("table.csv", "path,label,group", "a.avi,run,", "b.avi,walk,")
    assert len(read_manifest(config).rows) == 2
