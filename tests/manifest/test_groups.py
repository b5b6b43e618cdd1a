from __future__ import annotations

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.manifest.groups import regroup
from pipeline.manifest.rows import Manifest, Row


def manifest(*paths: str) -> Manifest:
    return Manifest(rows=tuple(Row(path=path, label="walk", group="old") for path in paths))


@pytest.mark.parametrize(
    ("regex", "groups"),
    [
        (r"seq\d+", ["seq01", "seq02"]),
        (r"seq(\d+)", ["01", "02"]),
        (r"(?:set)(\d)_(seq)", ["1", "2"]),
        (r"^\w+", ["run", "walk"]),
        (r"/(.*) \d", ["ann", "ann"]),
    ],
)
def test_the_regex_finds_the_group_from_the_root_on(regex: str, groups: list[str]) -> None:
    videos = manifest("/seq99/run/ann 1 set1_seq01.avi", "/seq99/walk/ ann 2 set2_seq02.avi")

    rows = regroup(videos, regex, "/seq99").rows

    assert [row.group for row in rows] == groups
    assert [row.path for row in rows] == [row.path for row in videos.rows]


@pytest.mark.parametrize("regex", [r"seq\d+", r"seq(\d)*$|b", r"x*"])
def test_a_regex_that_finds_no_group_in_a_path(regex: str) -> None:
    with pytest.raises(DataError, match=r"finds none in '(run/seq1|walk/b)\.avi'") as error:
        regroup(manifest("/v/run/seq1.avi", "/v/walk/b.avi"), regex, "/v")
    assert f"expected {regex} to find" in str(error.value)


def test_a_regex_that_is_invalid() -> None:
    with pytest.raises(ConfigError, match=r"expected a regular expression, got seq\(: "):
        regroup(manifest("/v/a.avi"), "seq(", "/v")
