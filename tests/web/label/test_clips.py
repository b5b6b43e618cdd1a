import pytest

from pipeline.errors import DataError
from pipeline.manifest.rows import read_csv
from pipeline.web.errors import ChangedError
from pipeline.web.label.clips import NAME, ClipTable, checked_label


def test_labels_are_those_that_prepare_reads(tmp_path):
    table = ClipTable(tmp_path)
    table.save("b.mp4", "walk", before="")
    table.save("a.mp4", "jump, high", before="")
    table.save("b.mp4", "run", before="walk")
    assert ClipTable(tmp_path).read(["a.mp4", "b.mp4", "c.mp4"]) == {
        "a.mp4": "jump, high",
        "b.mp4": "run",
        "c.mp4": "",
    }
    rows = read_csv(tmp_path / NAME).rows
    assert [(row.path.rpartition("/")[2], row.label) for row in rows] == [
        ("a.mp4", "jump, high"),
        ("b.mp4", "run"),
    ]
    table.save("a.mp4", "", before="jump, high")
    assert table.read(["a.mp4", "b.mp4"]) == {"a.mp4": "", "b.mp4": "run"}


def test_other_columns_and_clips_stay(tmp_path):
    (tmp_path / NAME).write_text("label,path,group\nwalk,clips/b.mp4,ann\nrun,z.mp4,bob\n")
    table = ClipTable(tmp_path)
    table.save("b.mp4", "jump", before="walk")
    table.save("c.mp4", "run", before="")
    assert (tmp_path / NAME).read_text().splitlines() == [
        "label,path,group",
        "run,z.mp4,bob",
        "jump,clips/b.mp4,ann",
        "run,c.mp4,",
    ]


def test_what_somebody_else_labelled_is_told(tmp_path):
    ClipTable(tmp_path).save("b.mp4", "walk", before="")
    with pytest.raises(ChangedError, match="b.mp4: somebody else called it walk meanwhile"):
        ClipTable(tmp_path).save("b.mp4", "run", before="")
    ClipTable(tmp_path).save("b.mp4", "walk", before="")
    assert ClipTable(tmp_path).read(["b.mp4"]) == {"b.mp4": "walk"}


def test_labels_over_the_network():
    assert checked_label(" a  b ") == "a b"
    assert checked_label("") == ""
    for value in (None, 3, "a\x00", "x" * 2000):
        with pytest.raises(DataError, match="expected a label"):
            checked_label(value)
