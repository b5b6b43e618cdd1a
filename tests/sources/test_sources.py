"""Options that a source has no use for are refused."""

from __future__ import annotations

import dataclasses
import warnings

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import TableWarning
from pipeline.sources.reading import read_manifest


@pytest.mark.parametrize(
    ("source", "option", "value"),
    [
        ("folder", "fold", 2),
        ("csv", "fold", 1),
        ("kinetics", "fold", 1),
        ("folder", "annotations", "lists"),
        ("ut_interaction", "annotations", "lists"),
        ("ucf101", "group_regex", "x"),
    ],
)
def test_an_option_that_a_source_does_not_take(source: str, option: str, value: object) -> None:
    config = PrepareConfig(source=source, path="none", out="out", **{option: value})  # type: ignore[arg-type]
    message = rf"--{option.replace('_', '-')} is for --source [\w, ]+; leave it out"
    with pytest.raises(ConfigError, match=message):
        read_manifest(config)


def test_a_fold_without_folds_is_told_of_them() -> None:
    config = PrepareConfig(source="folder", path="none", out="out", fold=2)
    with pytest.raises(ConfigError, match="or add --folds, which any source takes$"):
        read_manifest(config)


def test_a_fold_is_one_of_any_folds() -> None:
    config = PrepareConfig(source="folder", path="none", out="out", folds=5, fold=2)
    with pytest.raises(DataError, match="none does not exist"):
        read_manifest(config)


def test_a_line_that_is_there_twice(write) -> None:
    table = write("table.csv", "path,label", "a.avi,run", "b.avi,walk", "a.avi,run", "a.avi,walk")
    with pytest.warns(TableWarning, match="left out 1 row, the same as one before: .*a.avi$"):
        manifest = read_manifest(PrepareConfig(source="csv", path=str(table), out="out"))
    assert [row.label for row in manifest.rows] == ["run", "walk", "walk"]


def test_a_video_without_a_group_among_others_that_have_one(write) -> None:
    table = write("table.csv", "path,label,group", "a/a.avi,run,ann", "/b.avi,walk,", "c.avi,run,b")
    config = PrepareConfig(source="csv", path=str(table), out="out")
    with pytest.warns(TableWarning, match="1 video without a group, each taken for one of its own"):
        read_manifest(config)
    with warnings.catch_warnings(action="error"):
        read_manifest(dataclasses.replace(config, classes=("run",)))

    table = write("table.csv", "path,label,group", "a.avi,run,", "b.avi,walk,")
    assert len(read_manifest(dataclasses.replace(config, path=str(table))).rows) == 2


def test_a_fold_whose_test_videos_are_missing(touch) -> None:
    root = touch("kick/set1_seq01_000.avi", "hug/set1_seq02_001.avi")
    config = PrepareConfig(source="ut_interaction", path=str(root), out="out", fold=5)
    with pytest.raises(DataError, match="none of the test videos of --fold 5 is there"):
        read_manifest(config)
