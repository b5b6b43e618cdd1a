"""Options that a source has no use for are refused; what a source gives is made sure of."""

import dataclasses
import warnings

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import TableWarning
from pipeline.sources.reading import read_manifest


def configure(source, path="none", **options):
    return PrepareConfig(source=source, path=str(path), out="out", **options)


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("folder", {"fold": 2}, ConfigError, r"--fold is for --source [\w, ]+; leave it out"),
        ("folder", {"fold": 2}, ConfigError, "or add --folds, which any source takes$"),
        ("csv", {"fold": 1}, ConfigError, r"--fold is for --source [\w, ]+; leave it out"),
        ("kinetics", {"fold": 1}, ConfigError, r"--fold is for --source [\w, ]+; leave it out"),
        *(
            (source, {"annotations": "x"}, ConfigError, r"--annotations is for --source [\w, ]+;")
            for source in ("folder", "ut_interaction")
        ),
        (
            *("ucf101", {"group_regex": "x"}, ConfigError),
            r"--group-regex is for --source [\w, ]+; leave it out$",
        ),
        *(
            ("folder", options, ConfigError, "is for --source events[a-z_, ]*; leave it out$")
            for options in ({"videos": "v"}, {"point_seconds": 1.0}, {"modifiers": True})
        ),
        ("folder", {"tiers": ("a",)}, ConfigError, "--tiers is for --source events; leave it"),
        ("folder", {"folds": 5, "fold": 2}, DataError, "none does not exist"),
    ],
)
def test_options_that_a_source_does_not_take(source, options, error, message):
    with pytest.raises(error, match=message):
        read_manifest(configure(source, **options))


def test_a_line_that_is_there_twice(write):
    table = write("table.csv", "path,label", "a.avi,run", "b.avi,walk", "a.avi,run", "a.avi,walk")
    with pytest.warns(TableWarning, match="left out 1 row, the same as one before: .*a.avi$"):
        manifest = read_manifest(configure("csv", table))
    assert [row.label for row in manifest.rows] == ["run", "walk", "walk"]


def test_a_video_without_a_group_among_others_that_have_one(write):
    table = write("table.csv", "path,label,group", "a/a.avi,run,ann", "/b.avi,walk,", "c.avi,run,b")
    config = configure("csv", table)
    with pytest.warns(TableWarning, match="1 video without a group, each taken for one of its own"):
        read_manifest(config)
    with warnings.catch_warnings(action="error"):
        read_manifest(dataclasses.replace(config, classes=("run",)))
    table = write("table.csv", "path,label,group", "a.avi,run,", "b.avi,walk,")
    assert len(read_manifest(configure("csv", table)).rows) == 2


def test_a_fold_whose_test_videos_are_missing(touch):
    root = touch("kick/set1_seq01_000.avi", "hug/set1_seq02_001.avi")
    with pytest.raises(DataError, match="none of the test videos of --fold 5 is there"):
        read_manifest(configure("ut_interaction", root, fold=5))
