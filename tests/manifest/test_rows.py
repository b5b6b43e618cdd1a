from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.manifest.rows import Manifest, Row, TableWarning, read_csv, relative_path, write_csv


def row(path: Path | str, split: str = "train", group: str = "ann", label: str = "wave") -> Row:
    return Row(path=str(path), label=label, group=group, split=split)  # type: ignore[arg-type]


def test_class_names_and_groups_are_sorted_and_unique() -> None:
    manifest = Manifest(
        rows=(row("/b", group="z", label="run"), row("/a"), row("/c", group="z", label="run"))
    )

    assert manifest.class_names == ("run", "wave")
    assert manifest.groups == ("ann", "z")


def test_csv_is_readable_and_keeps_paths_below_it_relative(tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / "elsewhere.avi"
    manifest = Manifest(
        rows=(
            row(tmp_path / "wave hand" / "Zoë, 1.mp4", "train", "zoë"),
            row(elsewhere, "test", 'the "other"', "日本"),
            row(tmp_path / "c.avi", ""),
        )
    )

    write_csv(manifest, tmp_path / "manifest.csv")

    assert (tmp_path / "manifest.csv").read_bytes().decode() == (
        "path,label,group,split\n"
        '"wave hand/Zoë, 1.mp4",wave,zoë,train\n'
        f'{elsewhere},日本,"the ""other""",test\n'
        "c.avi,wave,ann,\n"
    )
    assert read_csv(tmp_path / "manifest.csv") == manifest


def test_csv_and_videos_can_move_together(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    write_csv(Manifest(rows=(row(tmp_path / "old/a.avi"),)), tmp_path / "old/manifest.csv")

    (tmp_path / "old").rename(tmp_path / "new")

    assert read_csv(tmp_path / "new/manifest.csv").rows == (row(tmp_path / "new/a.avi"),)


def test_relative_csv_path_gives_absolute_video_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(Manifest(rows=(row(tmp_path / "a.avi"),)), "manifest.csv")

    assert "\na.avi," in Path("manifest.csv").read_text()
    assert read_csv("manifest.csv").rows == (row(tmp_path / "a.avi"),)


def test_csv_of_others_may_lack_splits_have_more_columns_and_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("\ufefflabel,frames,group,path\r\nwave,12,ann,a.avi\r\n", encoding="utf-8")

    assert read_csv(file).rows == (row(tmp_path / "a.avi", ""),)


def test_csv_with_parts_of_files(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(
        "path,label,start_seconds,end_seconds\na.avi,wave,,2.5\na.avi,run,2.5,4\nb.avi,run,1,\n"
    )
    manifest = read_csv(file)

    times = [(row.start_seconds, row.end_seconds) for row in manifest.rows]
    assert times == [(0, 2.5), (2.5, 4), (1, math.inf)]
    assert [row.group for row in manifest.rows] == ["a.avi", "a.avi", "b.avi"]
    assert all(row.is_trim for row in manifest.rows)
    write_csv(manifest, tmp_path / "again.csv")
    assert read_csv(tmp_path / "again.csv") == manifest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,group\na.avi,wave\n", "expected the columns path and label, got path, group"),
        (b"", "got an empty file"),
        (b"path,label,group\na.avi,,ann\n", "line 2: expected path and label"),
        (b'path,label\n"",wave\n', "line 2: expected path and label"),
        (b"path,label,start_seconds\na,b,-1\n", "line 2: expected start_seconds of 0 or more"),
        (b"path,label,start_seconds,end_seconds\na,b,2,2\n", "got '2' and '2'"),
        (b"path,label,end_seconds\na,b,soon\n", "end_seconds after it, got '' and 'soon'"),
        (b"path,label,end_seconds\na,b,nan\n", "end_seconds after it, got '' and 'nan'"),
        (
            b"path,label,group,split\na,wave,ann,train\nb,wave,ann,dev\n",
            "line 3: expected a split of train, val, test or an empty cell, got 'dev'",
        ),
        ("path,label,group\nä,wave,ann\n".encode("latin-1"), "expected CSV in UTF-8"),
        (b"path,label\n", "expected a line for each video, got only the names of columns"),
        (b"path;label\na;b\n", "got path;label; it separates them by ';': save it with commas"),
        (
            b"path,label\na,\n",
            "got an empty one. With --multilabel a video may have no label",
        ),
        (b"path,label,label\na,b,c\n", "expected each column once, got 'label' repeatedly"),
        (b"path,label\na,b, c\n", "line 2: expected at most 2 cells, got 3. A cell that holds"),
        (b"path,label\na\0,b\n", r"line 2: expected a path, got 'a\\x00'"),
    ],
)
def test_csv_that_is_not_as_expected(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "manifest.csv"
    file.write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_csv(file)


def test_csv_without_labels_where_only_a_check_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("path,fps\na.avi,30\n")
    assert [row.label for row in read_csv(file, labelled=False).rows] == [""]

    file.write_text("path,label\na.avi,\n")
    with pytest.raises(DataError, match="line 2: expected path and label"):
        read_csv(file, labelled=False)
    file.write_text("name\na.avi\n")
    with pytest.raises(DataError, match="expected the column path, got name"):
        read_csv(file, labelled=False)


def test_a_group_is_the_same_however_it_is_spelled(tmp_path: Path) -> None:
    """Else one person, or one file, would be two, of which one trains and the other tests."""
    table = tmp_path / "videos.csv"
    lines = (
        "a.avi,wave,ann",
        "b.avi,wave, ann",
        "c.avi,jump,ann\t",
        "d.avi,jump, ",
        "./d.avi,hop,",
    )
    table.write_text("\n".join(("path,label,group", *lines, f"{tmp_path}/d.avi,wave,")))
    groups = [row.group for row in read_csv(table).rows]
    assert groups == ["ann", "ann", "ann", "d.avi", "d.avi", "d.avi"]


def test_csv_written_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    splits = ("Train", "training", "VAL", "validation ", " Test", "testing", "")
    lines = [f"{index},wave,{split}" for index, split in enumerate(splits)]
    file.write_text("\n".join(("Path, label , split", *lines, "")))

    found = [row.split for row in read_csv(file).rows]

    assert found == ["train", "train", "val", "val", "test", "test", ""]


@pytest.mark.parametrize(
    ("name", "meant"), [("groups", "group"), ("Spilt", "split"), ("end_second", "end_seconds")]
)
def test_a_column_that_was_perhaps_mistyped(tmp_path: Path, name: str, meant: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"path,label,{name},label_id\na,b,,\n")
    with pytest.warns(TableWarning, match=f"left alone. Did you mean '{meant}'") as warned:
        read_csv(file)
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["run"], "two classes or more, got only 'run'"),
        (["run", " walk"], "spaces around them"),
        (["run", "unknown"], "expected no class 'unknown', .* Rename its folder, or its label"),
    ],
)
def test_classes_that_cannot_be_learned(labels: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Manifest(rows=tuple(row("/a", label=label) for label in labels)).check_classes()


def test_csv_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file"):
        read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/videos/a b/c.avi", "a b/c.avi"),
        ("/other/c.avi", "/other/c.avi"),
        ("/videos2/c", "/videos2/c"),
    ],
)
def test_relative_path(path: str, expected: str) -> None:
    assert relative_path(path, "/videos") == expected


@pytest.mark.parametrize("name", ["run\nfast", " run", "run\t", "", "unknown", "x" * 201])
def test_class_names_that_lists_cannot_hold(name: str) -> None:
    with pytest.raises(DataError, match="expected (no class|class names)"):
        Manifest(rows=(row("/a", label=name), row("/b"))).check_classes()


def test_a_label_may_be_several(tmp_path: Path) -> None:
    lines = ["path,label,group", "a.avi,wave;walk,ann", "b.avi,walk; wave ;walk,bob", "c.avi,,cy"]
    (tmp_path / "videos.csv").write_text("\n".join(lines))

    manifest = read_csv(tmp_path / "videos.csv", several=True)

    assert [row.labels for row in manifest.rows] == [("walk", "wave"), ("walk", "wave"), ()]
    assert [row.label for row in manifest.rows] == ["walk;wave", "walk;wave", ""]
    assert manifest.class_names == ("walk", "wave")
    assert manifest.labelling == "several"
    with pytest.raises(DataError, match="line 4: expected path and label"):
        read_csv(tmp_path / "videos.csv")
    write_csv(manifest, tmp_path / "again.csv")
    assert read_csv(tmp_path / "again.csv", several=True) == manifest


def test_some_classes_of_videos_with_several(tmp_path: Path) -> None:
    several = row(tmp_path / "a").labelled(["walk", "wave"])
    manifest = Manifest(rows=(several, row(tmp_path / "b").labelled(["wave"])))

    chosen = manifest.of_classes(["walk"])

    assert [each.labels for each in chosen.rows] == [("walk",)]
