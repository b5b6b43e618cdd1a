"""Reading a source: each gives a manifest."""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from pathlib import Path

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Manifest, TableWarning, relative_path
from pipeline.sources import Source, check_options, folder, staged_sets, video_list, web_sets
from pipeline.sources.events import rows as events
from pipeline.text import counted


def _render(config: PrepareConfig, videos: Path) -> Manifest:
    from pipeline.sources.demo.render import render_demo  # loads what draws

    return render_demo(videos, seed=config.seed, workers=config.workers)


def _render_recordings(config: PrepareConfig, videos: Path) -> Manifest:
    from pipeline.sources.demo.render import EVENTS, render_recordings  # loads what draws

    render_recordings(videos, seed=config.seed, workers=config.workers)
    return events.scan_marked(config, videos, videos / EVENTS)


SOURCES = (
    Source("demo", _render),
    Source("demo_recordings", _render_recordings, takes=events.RECORDED),
    folder.SOURCE,
    video_list.CSV,
    video_list.LIST,
    events.SOURCE,
    web_sets.UCF101,
    web_sets.HMDB51,
    web_sets.KINETICS,
    staged_sets.SOMETHING_SOMETHING,
    staged_sets.JESTER,
    staged_sets.KTH,
    staged_sets.UT_INTERACTION,
)


def folder_of_videos(config: PrepareConfig) -> Path:
    """The folder, absolute, from which on the videos are named; those of the demo lie in `out`.

    Raises:
        ConfigError: What `videos` names is no folder.
    """
    if config.is_rendered:
        return (Path(config.out) / "videos").absolute()
    path = Path(config.videos or config.path).absolute()
    if config.videos and not path.is_dir():
        raise ConfigError(f"--videos: {config.videos} is no folder")
    return path.parent if path.is_file() else path


def read_manifest(config: PrepareConfig) -> Manifest:
    """Lists the videos of a source; for the demo, renders those that are not there yet.

    Raises:
        ConfigError: A setting does not fit the source.
        DataError: The source is not laid out as expected, or has none of a class.
    """
    source = next(each for each in SOURCES if each.name == config.source)
    check_options(config, source, SOURCES)
    manifest = source.scan(config, folder_of_videos(config)).without_repeats()
    if config.classes:
        manifest = manifest.of_classes(config.classes)
    _warn_of_missing_groups(manifest, config)
    if config.official_fold and not any(row.split == "test" for row in manifest.rows):
        raise DataError(
            f"{config.path}: none of the test videos of --fold {config.fold} is there. Complete "
            "the data set or choose another fold."
        )
    if config.group_regex:
        manifest = regroup(manifest, config.group_regex, folder_of_videos(config))
    return manifest


def _warn_of_missing_groups(manifest: Manifest, config: PrepareConfig) -> None:
    """Of some lines of a table alone; where none has a group, that is how it is meant."""
    rows = manifest.rows
    paths = (row.path.replace(os.sep, "/") for row in rows)
    num_missing = sum(f"/{p}".endswith(f"/{row.group}") for p, row in zip(paths, rows, strict=True))
    if config.source == "csv" and not config.group_regex and 0 < num_missing < len(rows):
        message = (
            f"{config.path}: {counted(num_missing, 'video')} without a group, each taken for one "
            "of its own"
        )
        warnings.warn(message, TableWarning, stacklevel=2)


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
