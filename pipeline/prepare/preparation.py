"""From videos to a prepared data set: list, split, write shards, write what belongs to them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.locks import alone
from pipeline.manifest.rows import Manifest, Row, Split, relative_path
from pipeline.manifest.split import choose_split
from pipeline.prepare import leaks
from pipeline.prepare.data_report import describe
from pipeline.prepare.plan import (
    ShardReport,
    ShardTask,
    SourceVideo,
    fingerprint,
    identity,
    plan_shards,
)
from pipeline.prepare.prepared import PARTIAL, Store, describe_store
from pipeline.prepare.publish import (
    changes_since,
    check_classes_stay,
    check_folder,
    clear_partial,
    finish_store,
)
from pipeline.prepare.rate import MOST_FPS, rates_of, stored_rate
from pipeline.prepare.shard_runner import write_shards
from pipeline.prepare.shard_workers import check_shards
from pipeline.prepare.summary import CheckReport, PrepareReport, write_findings
from pipeline.sources.reading import folder_of_videos, read_manifest
from pipeline.text import counted, listed

_NOT_IN_THE_STORE = (
    *("out", "workers", "overwrite", "check", "download"),
    *("runner", "beam_options", "max_bad_fraction", "seconds_per_video"),
)
_SPLIT_SETTINGS = (
    *("source", "path", "annotations", "group_regex", "test_groups"),
    *("val_fraction", "test_fraction", "folds", "fold", "seed"),
)


def prepare(config: PrepareConfig) -> PrepareReport:
    """Makes a prepared data set of videos, or brings one up to date.

    The shards are written by worker processes. What is there already and would come out the same
    is kept, so that an interrupted preparation goes on where it was, and a second one does nothing.
    Until all is written and found good, what was prepared before stays as it is.

    Args:
        config: The videos, where the data set goes, and how it is made.

    Raises:
        ConfigError: A setting does not fit the videos.
        DataError: The videos cannot be used as they are: their layout, leaks, too many bad ones.
        PipelineError: Worker processes cannot be started, or the folder cannot be written.
    """
    with _disk_errors_named(config.out):
        return _prepare(config, Path(config.out))


def check_videos(config: PrepareConfig) -> CheckReport:
    """Reads all videos as `prepare` does and reports on them, but prepares nothing.

    The folder `out` gets a sub-folder `check` with the report.

    Args:
        config: As for `prepare`; `out` need not be named. The videos of a folder or of a table may
            be without labels.

    Raises:
        ConfigError: A setting does not fit the videos.
        DataError: The videos are not laid out as expected, or cannot be split.
        PipelineError: Worker processes cannot be started, or the folder cannot be written.
    """
    with _disk_errors_named(config.out):
        return _check(config, Path(config.out))


def _prepare(config: PrepareConfig, out: Path) -> PrepareReport:
    root = folder_of_videos(config)
    settings = _settings(config, root, out)
    _check_outside(config, root)
    with alone(out, "preparing", "name another folder (--out)"):
        origin = {name: settings[name] for name in ("source", "path")}
        check_folder(out, origin, overwrite=config.overwrite)
        return _prepare_alone(config, out, root, settings)


def _prepare_alone(
    config: PrepareConfig, out: Path, root: Path, settings: dict[str, Any]
) -> PrepareReport:
    manifest = read_manifest(config)
    manifest.check_classes()
    videos = _look_at(manifest, config, root)
    made_of = fingerprint(settings, map(identity, videos))
    old = _find_store(out)
    if old and config.classes and not config.overwrite:
        check_classes_stay(old, manifest.class_names)
    if old and old.made_of == made_of and not old.lost_shard() and not _has_lost(old):
        shutil.rmtree(out / PARTIAL, ignore_errors=True)  # of a preparation that was refused
        return PrepareReport(store=old, up_to_date=True)
    rows = choose_split(manifest, config, _known_splits(old, settings)).rows
    _refuse(leaks.crossing(rows), config, "")
    config = _with_rate(config, manifest)
    tasks = _plan(videos, rows, config, out)
    clear_partial(out, tasks)
    reports = write_shards(tasks, config, out)
    return _finish(tasks, reports, config, out, settings=settings, made_of=made_of)


def _finish(
    tasks: Sequence[ShardTask],
    reports: Sequence[ShardReport],
    config: PrepareConfig,
    out: Path,
    *,
    settings: dict[str, Any],
    made_of: str,
) -> PrepareReport:
    videos = _videos(tasks, reports)
    duplicates = _duplicates(videos)
    found = [*leaks.crossing(source.row for source, _ in videos), *leaks.leaking(duplicates)]
    changes = changes_since(out, (source for source, _ in videos))
    report = describe(videos, found, changes, leaks.harmless(duplicates))
    partial = out / PARTIAL
    write_findings(partial, videos, report, root=out)
    _refuse(found, config, f"; {partial / 'data_report.md'} names all")
    too_many = _too_many_bad(report, config)
    if too_many:
        first = report["left_out"][0]
        raise DataError(
            f"{too_many}; {partial / 'quarantine.csv'} says why. The first is {first['video']}: "
            f"{first['reason']}"
        )
    store = finish_store(
        out, tasks, reports, settings=settings, leaks=found, duplicates=duplicates, made_of=made_of
    )
    return PrepareReport(store=store, up_to_date=False)


def _check(config: PrepareConfig, out: Path) -> CheckReport:
    root = folder_of_videos(config)
    if config.out == PrepareConfig.out:  # It was not named.
        out = Path("data") / (root.name or "videos")
    manifest = read_manifest(config)
    labelled = all(row.label for row in manifest.rows)
    if labelled:
        manifest.check_classes()
    videos = _look_at(manifest, config, root)
    rows = choose_split(manifest, config).rows if labelled else manifest.rows
    config = _with_rate(config, manifest)
    tasks = _plan(videos, rows, config, out)
    reports = check_shards(tasks, config)
    pairs = _videos(tasks, reports)
    duplicates = _duplicates(pairs)
    found = [*leaks.crossing(rows), *leaks.leaking(duplicates)]
    report = describe(pairs, found, {}, leaks.harmless(duplicates))
    folder = out / "check"
    folder.mkdir(parents=True, exist_ok=True)
    write_findings(folder, pairs, report, root=folder)
    return CheckReport(report=report, folder=folder, obstacle=_too_many_bad(report, config))


@contextmanager
def _disk_errors_named(out: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PipelineError(
            f"{error.filename or out}: {error.strerror or error}. Make sure that it can be "
            "written and that there is free space, then run the same command again; finished "
            "shards are kept."
        ) from None


def _settings(config: PrepareConfig, root: Path, out: Path) -> dict[str, Any]:
    """The settings that the data set depends on; paths within `out` are relative to it."""
    settings = {**dataclasses.asdict(config), "fps": float(config.fps)}  # 15 and 15.0 are the same
    settings["classes"] = sorted(set(config.classes))
    for name in _NOT_IN_THE_STORE:
        del settings[name]
    path = root if config.source == "demo" else Path(config.path).resolve()
    settings["path"] = relative_path(str(path), out.absolute())
    as_read: dict[str, Any] = json.loads(json.dumps(settings))  # tuples become lists
    return as_read


def _check_outside(config: PrepareConfig, root: Path) -> None:
    listed_by_hand = config.source in ("demo", "csv", "list")  # What lies beside is no video.
    if not listed_by_hand and Path(config.out).resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"--out: expected a folder outside of {root}, where the videos are, "
            f"got {config.out}. Name another, such as data/NAME"
        )


def _look_at(manifest: Manifest, config: PrepareConfig, root: Path) -> list[SourceVideo]:
    # Rendering the demo videos once more gives the same videos at another time.
    timed = config.source != "demo"
    return [_source(row, root, timed=timed) for row in manifest.rows]


def _source(row: Row, root: Path, *, timed: bool) -> SourceVideo:
    try:
        status = Path(row.path).stat()
        num_bytes, modified_ns = status.st_size, status.st_mtime_ns
    except OSError:
        num_bytes, modified_ns = -1, 0
    if not os.access(row.path, os.R_OK):
        num_bytes = -1  # It will be left out until it can be read.
    return SourceVideo(
        row=row,
        file=relative_path(row.path, root),
        num_bytes=num_bytes,
        modified_ns=modified_ns if timed else 0,
    )


def _with_rate(config: PrepareConfig, manifest: Manifest) -> PrepareConfig:
    """The configuration with the rate that is chosen where none is asked for."""
    if config.fps:
        return config
    if config.source == "demo":  # Its videos are of many kinds, slow ones, too.
        return dataclasses.replace(config, fps=MOST_FPS)
    paths = tuple(dict.fromkeys(row.path for row in manifest.rows))
    return dataclasses.replace(config, fps=stored_rate(rates_of(paths, config)))


def _find_store(out: Path) -> Store | None:
    try:
        return describe_store(out)
    except DataError:
        return None


def _has_lost(store: Store) -> bool:
    """Whether a worker process was lost at a video of it, which is worth another try."""
    return any(video["problem"] == "lost" for video in store.report["left_out"])


def _known_splits(old: Store | None, settings: dict[str, Any]) -> dict[str, Split]:
    """The splits of groups that a data set of the same videos, split in the same way, has."""
    if not old or any(old.settings.get(name) != settings[name] for name in _SPLIT_SETTINGS):
        return {}
    return {row.group: row.split for row in old.manifest.rows if row.split}


def _plan(
    videos: Sequence[SourceVideo], rows: Sequence[Row], config: PrepareConfig, out: Path
) -> list[ShardTask]:
    return plan_shards(
        [dataclasses.replace(video, row=row) for video, row in zip(videos, rows, strict=True)],
        (out / PARTIAL).absolute(),  # Other machines may write them.
        frames=config.frames,
        shard_videos=config.shard_videos,
        seed=config.seed,
        min_frames=config.min_frames,
    )


def _videos(tasks: Sequence[ShardTask], reports: Sequence[ShardReport]) -> list[leaks.Video]:
    videos = [
        pair
        for task, report in zip(tasks, reports, strict=True)
        for pair in zip(task.sources, report.videos, strict=True)
    ]
    return sorted(videos, key=lambda pair: pair[0].name)


def _duplicates(videos: Sequence[leaks.Video]) -> list[leaks.Duplicate]:
    return leaks.duplicates([video for video in videos if not video[1].problem])


def _refuse(found: Sequence[str], config: PrepareConfig, where: str) -> None:
    if found and not config.allow_leaks:
        raise DataError(
            f"{counted(len(found), 'leak')}: {listed(found, most=3).replace(', ...', '; ...')}"
            f"{where}. Mend the splits or remove the copies, or go on all the same: --allow-leaks"
        )


def _too_many_bad(report: dict[str, Any], config: PrepareConfig) -> str:
    bad, total = len(report["left_out"]), len(report["left_out"]) + report["total"]["videos"]
    if bad <= config.max_bad_fraction * total:
        return ""
    return (
        f"{bad} of {counted(total, 'video')} would be left out, more than --max-bad-fraction "
        f"{config.max_bad_fraction:g}"
    )
