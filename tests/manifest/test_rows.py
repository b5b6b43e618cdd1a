"""Rows of tables, and labels of frames from events."""

import dataclasses
import math
import re

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.manifest.annotation import IGNORED_LABEL, Annotation
from pipeline.manifest.rows import Manifest, Row, TableWarning, read_csv, relative_path
from pipeline.manifest.stored import Clip, read_clips, write_clips
from pipeline.sources.reading import regroup


def row(path, split="train", group="ann", label="wave"):
    return Row(path=str(path), label=label, group=group, split=split)


@pytest.fixture
def table(tmp_path):
    """Writes lines into a table and returns it."""

    def table(*lines, name="table.csv"):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8", newline="")
        return tmp_path / name

    return table


def test_csv_is_readable_and_moves_together_with_videos_below_it(tmp_path):
    elsewhere = tmp_path.parent / "elsewhere.avi"
    manifest = Manifest(
        rows=(
            row(tmp_path / "wave hand" / "Zoë, 1.mp4 ", "train", "zoë"),
            row(elsewhere, "test", 'the "other"', "日本"),
            row(tmp_path / "c.avi", ""),
        )
    )
    (tmp_path / "manifest.csv").write_text(
        "path,label,group,split\n"
        '"wave hand/Zoë, 1.mp4 ",wave,zoë,train\n'
        f'{elsewhere},日本,"the ""other""",test\n'
        "c.avi,wave,ann,\n",
        encoding="utf-8",
    )
    assert read_csv(tmp_path / "manifest.csv") == manifest
    assert manifest.class_names == ("wave", "日本")
    assert manifest.groups == ("ann", 'the "other"', "zoë")
    assert relative_path("/videos2/c", "/videos") == "/videos2/c"


def test_csv_with_parts_of_files_and_several_labels(table):
    lines = ("path,label,start_seconds,end_seconds", "a.avi,wave,,2.5", "a.avi,run,2.5,4")
    file = table(*lines, "b.avi,run,1,\n")
    manifest = read_csv(file)
    times = [(row.start_seconds, row.end_seconds) for row in manifest.rows]
    assert times == [(0, 2.5), (2.5, 4), (1, math.inf)]
    assert [row.group for row in manifest.rows] == ["a.avi", "a.avi", "b.avi"]
    assert all(row.is_trim for row in manifest.rows)
    # As spreadsheets write it: with tabs, or where a comma is the decimal point.
    written = file.read_text()
    for mark, point, code in (("\t", ".", "utf-16"), (";", ",", "utf-8-sig")):
        text = written.replace(",", mark).replace("2.5", f"2{point}5")
        file.write_text(f"\n{text}{mark * 2}\n", encoding=code, newline="\r")
        assert read_csv(file) == manifest
    lines = ["path,label,group", "a.avi,wave;walk,ann", "b.avi,walk; wave ;walk,bob", "c.avi,,cy"]
    file = table(*lines)
    manifest = read_csv(file, several=True)
    assert [row.labels for row in manifest.rows] == [("walk", "wave"), ("walk", "wave"), ()]
    assert [row.label for row in manifest.rows] == ["walk;wave", "walk;wave", ""]
    assert manifest.class_names == ("walk", "wave")
    assert manifest.labelling == "several"
    with pytest.raises(DataError, match="line 4: expected path and label"):
        read_csv(file)
    chosen = Manifest(rows=(manifest.rows[0], row("b").labelled(["wave"]))).of_classes(["walk"])
    assert [each.labels for each in chosen.rows] == [("walk",)]


def test_csv_that_is_not_as_expected(tmp_path):
    for content, message in (
        (None, r"manifest\.csv: cannot be read: No such file"),
        (b"path,group\na.avi,wave\n", "line 1: expected the columns path, label, got pat"),
        (b"", "expected columns path, label, got an empty file"),
        (b"path,label,group\na.avi,,ann\n", "line 2: expected path and label"),
        (b'path,label\n"",wave\n', "line 2: expected path and label"),
        (b"path,label,start_seconds\na,b,-1\n", "line 2: expected start_seconds of 0 or more"),
        (b"path,label,start_seconds,end_seconds\na,b,2,2\n", "got '2' and '2'"),
        (b"path,label,end_seconds\na,b,soon\n", "end_seconds after it, got '' and 'soon'"),
        (b"path,label,end_seconds\na,b,nan\n", "end_seconds after it, got '' and 'nan'"),
        (b"path,label,split\na,b,\nb,c,dev\n", "line 3: expected a split of train, .*, got 'dev'"),
        ("path,label,group\nä,wave,ann\n".encode("latin-1"), "text in UTF-8: .* Save it as UTF-8"),
        (b"path,label\n", "expected a line for each video, got only the names of columns"),
        (b"path|label\na|b\n", "label is missing. Divide cells by commas, semicolons or tabs"),
        (b"path,label\na,\n", "got an empty one. With --multilabel a video may have no label"),
        (b"path,label,label\na,b,c\n", "expected each column once, got 'label' repeatedly"),
        (b"path,label\na,b, c\n", "line 2: expected at most 2 cells, got 3. A cell that holds"),
        (b"path,label\n" + b"a,b\n" * 9999 + b"a\0,b\n", "expected text, got binary data"),
    ):
        if content is not None:
            (tmp_path / "manifest.csv").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_csv(tmp_path / "manifest.csv")


def test_csv_without_labels_for_a_check_or_written_by_hand(table, tmp_path):
    """One person, or one file, is one group, however it is spelled; so are the splits."""
    splits = ("Train", "training", "VAL", "validation ", " Test", "testing", "")
    lines = [f"{index},wave,{split}" for index, split in enumerate(splits)]
    found = [row.split for row in read_csv(table("Path, label , split", *lines, "")).rows]
    assert found == ["train", "train", "val", "val", "test", "test", ""]
    lines = ["a.avi,wave,ann", "b.avi,wave, ann", "c.avi,jump,ann\t", "d.avi,jump, "]
    file = table("path,label,group", *lines, "./d.avi,hop,", f"{tmp_path}/d.avi,wave,")
    groups = [row.group for row in read_csv(file).rows]
    assert groups == ["ann", "ann", "ann", "d.avi", "d.avi", "d.avi"]
    file = table("\ufefflabel,frames,group,path\r", "wave,12,ann,a.avi\r", "")
    assert read_csv(file).rows == (row(file.with_name("a.avi"), ""),)
    # Without labels, where only a check is wanted.
    file = table("path,fps", "a.avi,30")
    assert [row.label for row in read_csv(file, labelled=False).rows] == [""]
    for lines, message in (
        (("path,label", "a.avi,"), "line 2: expected path and label"),
        (("name", "a.avi"), "expected the column path, got name"),
    ):
        with pytest.raises(DataError, match=message):
            read_csv(table(*lines), labelled=False)
    # A column that was perhaps mistyped.
    for name, meant in (("groups", "group"), ("Spilt", "split"), ("end_second", "end_seconds")):
        file = table(f"path,label,{name},label_id", "a,b,,")
        with pytest.warns(TableWarning, match=f"left alone. Did you mean '{meant}'") as warned:
            read_csv(file)
        assert len(warned) == 1


def test_classes_that_cannot_be_learned_and_a_regex_that_finds_groups_from_the_root_on():
    for labels, message in (
        (["run"], "two classes or more, got only 'run'"),
        (["run", " walk"], "spaces around them"),
        (["run", "unknown"], "expected no class 'unknown', .* Rename its folder, or its label"),
        *((["wave", name], "expected class names") for name in ("run\nfast", "a\t", "", "x" * 201)),
    ):
        with pytest.raises(DataError, match=message):
            Manifest(rows=tuple(row("/a", label=label) for label in labels)).check_classes()
    for regex, groups in (
        *((r"seq\d+", ["seq01", "seq02"]), (r"seq(\d+)", ["01", "02"]), (r"^\w+", ["run", "walk"])),
        *((r"(?:set)(\d)_(seq)", ["1", "2"]), (r"/(.*) \d", ["ann", "ann"])),
    ):
        paths = ["/seq99/run/ann 1 set1_seq01.avi", "/seq99/walk/ ann 2 set2_seq02.avi"]
        rows = regroup(Manifest(rows=tuple(map(row, paths))), regex, "/seq99").rows
        assert [row.group for row in rows] == groups
        assert [row.path for row in rows] == paths
    videos = Manifest(rows=(row("/v/run/seq1.avi"), row("/v/walk/b.avi")))
    for regex in (r"seq\d+", r"seq(\d)*$|b", r"x*"):
        message = rf"expected {re.escape(regex)} to find.*finds none in '(run/seq1|walk/b)\.avi'"
        with pytest.raises(DataError, match=message):
            regroup(videos, regex, "/v")
    with pytest.raises(ConfigError, match=r"expected a regular expression, got seq\(: "):
        regroup(videos, "seq(", "/v")


EVENTS = ((0.2, 0.5, "walk"), (0.4, 0.8, "wave"))


def test_a_class_holds_at_the_frames_whose_middles_lie_in_its_events():
    annotation = Annotation(events=EVENTS, background="rest")
    assert annotation.class_names == ("rest", "walk", "wave")
    labels = [[0, 0, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1, 0]]
    assert Annotation(events=EVENTS).by_frame(10, ["walk", "wave"])(0, 9).T.tolist() == labels
    rest = [1, 1, 0, 0, 0, 0, 0, 0, 1]
    found = annotation.by_frame(10, annotation.class_names)(0, 9).T.tolist()
    assert found == [rest, *labels], "the background is what no event covers"
    chosen = annotation.of_classes(["wave"])
    assert chosen.class_names == ("rest", "wave")
    assert chosen.by_frame(10, chosen.class_names)(0, 4).argmax(axis=1).tolist() == [0, 0, 0, 0]
    # Frames in the midst, and events that are short or rounded.
    events = tuple((n * 0.7, n * 0.7 + 0.4, "ab"[n % 2]) for n in range(40))
    label = Annotation(events=events, background="rest").by_frame(12.5, ["a", "b", "rest"])
    parts = [label(n, 50) for n in range(0, 400, 50)]
    np.testing.assert_array_equal(np.concatenate(parts), label(0, 400))
    for start in np.arange(0, 2, 0.013):
        label = Annotation(events=((start, start + 0.001, "blink"),)).by_frame(10, ["blink"])
        assert np.flatnonzero(label(0, 30)).tolist() == [int((start + 0.0005) * 10)]
    for first in range(300):
        start, end = round(first / 30, 3), round((first + 7) / 30, 3)
        label = Annotation(events=((start, end, "a"),)).by_frame(30, ["a"])
        assert np.flatnonzero(label(0, 400)).tolist() == list(range(first, first + 7))


def test_nothing_is_known_beyond_what_was_watched_but_of_one_class_alone():
    annotation = Annotation(events=EVENTS, known=((0.1, 0.3), (0.6, 0.7)), background="rest")
    label = annotation.by_frame(10, annotation.class_names)
    known = (label(0, 9) != IGNORED_LABEL).all(axis=1)
    assert known.tolist() == [False, True, True, False, False, False, True, False, False]
    assert (label(0, 9)[~known] == IGNORED_LABEL).all()
    np.testing.assert_array_equal(label(6, 2), label(0, 9)[6:8])
    annotation = Annotation(
        events=(EVENTS[0],),
        known=((0.6, 0.8), (0.0, 0.0)),
        known_of=((0.0, 0.4, "wave"), EVENTS[0], (0.0, 0.9, "jump"), (0.5, 0.5, "walk")),
        background="rest",
    )
    label = annotation.by_frame(10, ["walk", "wave", "rest"])
    assert np.where(label(0, 9) == IGNORED_LABEL, 9, label(0, 9)).T.tolist() == [
        [9, 9, 1, 1, 1, 9, 0, 0, 9],
        [0, 0, 0, 0, 9, 9, 0, 0, 9],
        [9, 9, 0, 0, 0, 9, 1, 1, 9],
    ]
    np.testing.assert_array_equal(label(3, 4), label(0, 9)[3:7])
    wave = annotation.of_classes(["wave"]).by_frame(10, ["rest", "wave"])(0, 9)[:, 1]
    assert wave.tolist() == label(0, 9)[:, 1].tolist()


def test_what_is_said_of_clips_is_read_as_it_was_written(tmp_path):
    plain = Row(path=str(tmp_path / "a.avi"), label="", group="g", split="test")
    marked = Annotation(
        events=((0.1, 2.0, "wälk"),), known=(), known_of=((0.0, 1.0, "run"),), background="rest"
    )
    for annotation in (
        marked,
        Annotation(events=()),
        dataclasses.replace(marked, known=((0.0, 3.0),), subject="ann;b"),
        dataclasses.replace(marked, events=((0.0, 1.0, "run"),) * 20_000),  # a long cell
    ):
        labelled = plain.labelled(annotation.class_names, annotation)
        clip = Clip(row=labelled, name="a", frames="k", first_frame=3, num_frames=9)
        part = dataclasses.replace(labelled, start_seconds=0.1, end_seconds=2.5)
        clips = (clip, dataclasses.replace(clip, row=part))
        write_clips(clips, tmp_path / "manifest.csv")
        assert read_clips(tmp_path / "manifest.csv", "frames") == clips
    moved = tmp_path / "new"
    (tmp_path / "old").mkdir()
    within = dataclasses.replace(plain, path=str(tmp_path / "old" / "a.avi"), label="ä;,")
    write_clips([dataclasses.replace(clip, row=within)], tmp_path / "old" / "manifest.csv")
    (tmp_path / "old").rename(moved)
    (found,) = read_clips(moved / "manifest.csv", "one")
    assert found.row == dataclasses.replace(within, path=str(moved / "a.avi"))
    (tmp_path / "manifest.csv").write_text("path,label\na,b\n")
    with pytest.raises(DataError, match=r"manifest\.csv: damaged"):
        read_clips(tmp_path / "manifest.csv", "one")
