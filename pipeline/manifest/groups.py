"""Groups of videos, by their paths."""

from __future__ import annotations

import dataclasses
import os
import re

from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest, relative_path


def regroup(manifest: Manifest, group_regex: str, root: str | os.PathLike[str]) -> Manifest:
    r"""Makes what a regular expression finds in the path of a video its group, blanks apart.

    Args:
        manifest: The videos.
        group_regex: The group is the first capture group or else the whole match.
        root: The folder, absolute, from which on paths are searched, with forward slashes.

    Raises:
        ConfigError: The regex is invalid.
        DataError: It does not find a group in some path.

    Example:
        >>> from pipeline.manifest.rows import Row
        >>> rows = (Row(path="/videos/walk/ann_1.avi", label="walk", group=""),)
        >>> regroup(Manifest(rows=rows), r"/(\w+)_", "/videos").groups
        ('ann',)
    """
    try:
        pattern = re.compile(group_regex)
    except re.error as error:
        raise ConfigError(
            f"--group-regex: expected a regular expression, got {group_regex}: {error}."
        ) from None
    rows = (
        dataclasses.replace(row, group=_find(pattern, relative_path(row.path, root)))
        for row in manifest.rows
    )
    return Manifest(rows=tuple(rows))


def _find(pattern: re.Pattern[str], path: str) -> str:
    match = pattern.search(path)
    group = match and (match[min(1, pattern.groups)] or "").strip()
    if not group:
        raise DataError(
            f"--group-regex: expected {pattern.pattern} to find a group in every path, "
            f"but it finds none in {path!r}."
        )
    return group
