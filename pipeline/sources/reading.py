"""Reading a source: each gives a manifest."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

from pipeline.config.prepare import PrepareConfig, Source
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.groups import regroup
from pipeline.manifest.rows import Manifest, TableWarning, read_csv
from pipeline.sources.download import download_ucf101
from pipeline.sources.events.reading import ReadingOptions
from pipeline.sources.events.rows import scan_events
from pipeline.sources.folder import scan_folder
from pipeline.sources.hmdb51 import scan_hmdb51
from pipeline.sources.kinetics import scan_kinetics
from pipeline.sources.kth import scan_kth
from pipeline.sources.twentybn import scan_jester, scan_something_something
from pipeline.sources.ucf101 import scan_ucf101
from pipeline.sources.ut_interaction import scan_ut_interaction
from pipeline.sources.video_list import scan_list
from pipeline.text import counted

_FOR_SOURCES: dict[str, tuple[Source, ...]] = {
    "--group-regex": ("folder", "csv", "list"),
    "--annotations": (
        *("list", "ucf101", "hmdb51", "kinetics", "something_something", "jester", "kth"),
    ),
    "--fold": ("ucf101", "hmdb51", "ut_interaction"),
    **dict.fromkeys(("--videos", "--point-seconds", "--modifiers", "--tiers"), ("events",)),
    **dict.fromkeys(("--subjects", "--not-annotated"), ("events",)),
    **dict.fromkeys(("--background", "--cut-events"), ("events", "demo_recordings")),
    "--multilabel": ("csv",),
}


def folder_of_videos(config: PrepareConfig) -> Path:
    """The folder, absolute, from which on the videos are named; those of the demo lie in `out`.

    Raises:
        ConfigError: What `videos` names is no folder.
    """
    if config.is_rendered:
        return (Path(config.out) / "videos").absolute()
    path = Path(config.videos or config.path).absolute()
    lists = config.source in ("csv", "list", "events")
    if not lists or path.is_dir():
        return path
    if config.videos:
        raise ConfigError(f"--videos: {config.videos} is no folder")
    return path.parent


def read_manifest(config: PrepareConfig) -> Manifest:
    """Lists the videos of a source; for the demo, renders those that are not there yet.

    Raises:
        ConfigError: A setting does not fit the source.
        DataError: The source is not laid out as expected, or has none of a class.
    """
    _check_options(config)
    manifest = _read(config).without_repeats()
    if config.classes:
        manifest = manifest.of_classes(config.classes)
    _warn_of_missing_groups(manifest, config)
    official = config.fold and not config.folds
    if official and not any(row.split == "test" for row in manifest.rows):
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


def _check_options(config: PrepareConfig) -> None:
    given = {
        "--group-regex": bool(config.group_regex),
        "--annotations": bool(config.annotations),
        "--fold": bool(config.fold and not config.folds),  # else it is one of the folds
        "--videos": bool(config.videos),
        "--point-seconds": bool(config.point_seconds),
        "--modifiers": config.modifiers,
        "--tiers": bool(config.tiers),
        "--subjects": config.subjects,
        "--not-annotated": bool(config.not_annotated),
        "--background": config.background != PrepareConfig.background,
        "--cut-events": config.cut_events,
        "--multilabel": config.multilabel,
    }
    for option, sources in _FOR_SOURCES.items():
        if given[option] and config.source not in sources:
            also = ", or add --folds, which any source takes" if option == "--fold" else ""
            raise ConfigError(f"{option} is for --source {', '.join(sources)}; leave it out{also}")


def _read(config: PrepareConfig) -> Manifest:
    path, lists = config.path, config.annotations
    fold = 0 if config.folds else config.fold  # else it is the number of one of the folds
    if config.download:
        download_ucf101(path)
    scans: dict[Source, Callable[[], Manifest]] = {
        "demo": lambda: _render(config),
        "demo_recordings": lambda: _render_recordings(config),
        "folder": lambda: scan_folder(path, labelled=not config.check),
        "csv": lambda: read_csv(path, labelled=not config.check, several=config.multilabel),
        "list": lambda: scan_list(path, classes=lists),
        "events": lambda: _scan_events(config),
        "ucf101": lambda: scan_ucf101(path, annotations=lists, fold=fold or 1),
        "hmdb51": lambda: scan_hmdb51(path, annotations=lists, fold=fold or 1),
        "kinetics": lambda: scan_kinetics(path, annotations=lists),
        "something_something": lambda: scan_something_something(path, annotations=lists),
        "jester": lambda: scan_jester(path, annotations=lists),
        "kth": lambda: scan_kth(path, annotations=lists),
        "ut_interaction": lambda: scan_ut_interaction(path, fold=fold),
    }
    return scans[config.source]()


def _scan_events(config: PrepareConfig, path: str | Path = "") -> Manifest:
    return scan_events(
        path or config.path,
        folder_of_videos(config),
        options=ReadingOptions(modifiers=config.modifiers, tiers=config.tiers),
        point_seconds=config.point_seconds,
        subjects=config.subjects,
        background=config.background,
        not_annotated=config.not_annotated,
        cut=config.cut_events,
    )


def _render(config: PrepareConfig) -> Manifest:
    from pipeline.sources.demo.render import render_demo  # loads what draws

    return render_demo(folder_of_videos(config), seed=config.seed, workers=config.workers)


def _render_recordings(config: PrepareConfig) -> Manifest:
    from pipeline.sources.demo.render import EVENTS, render_recordings  # loads what draws

    folder = folder_of_videos(config)
    render_recordings(folder, seed=config.seed, workers=config.workers)
    return _scan_events(config, folder / EVENTS)
