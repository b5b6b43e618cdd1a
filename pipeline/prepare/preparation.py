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

from pipeline.atomic import expect_writable
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError, PipelineError, VideoDecodeError
from pipeline.key_points import Tables
from pipeline.locks import alone
from pipeline.manifest.rows import Manifest, Row, Split, relative_path
from pipeline.manifest.split import choose_split
from pipeline.prepare.duplicates import file_digest
from pipeline.prepare.findings import (
    check_findings,
    examine,
    refuse_leaks,
    too_many_bad,
    write_findings,
)
from pipeline.prepare.leaks import crossing
from pipeline.prepare.plan import ShardTask, SourceVideo, fingerprint, identity, plan_shards
from pipeline.prepare.prepared import PARTIAL, Store, describe_store
from pipeline.prepare.publish import (
    changes_since,
    check_classes_stay,
    check_folder,
    clear_partial,
    finish_store,
)
from pipeline.prepare.rate import chosen_rate
from pipeline.prepare.shard_workers import check_shards, write_shards
from pipeline.prepare.summary import CheckReport, PrepareReport
from pipeline.sources.reading import folder_of_videos, read_manifest

_ALONE = ("preparing or checking", "name another folder (--out)")
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
    out = Path(config.out)
    with _disk_errors_named(out, "; finished shards are kept"):
        settings = _settings(config, out)
        _check_outside(config)
        with alone(out, *_ALONE):
            origin = {name: settings[name] for name in ("source", "path")}
            check_folder(out, origin, overwrite=config.overwrite)
            return _prepare(config, out, settings)


def check_videos(config: PrepareConfig) -> CheckReport:
    """Reads all videos as `prepare` does and reports on them, but prepares nothing.

    The folder `out` gets a sub-folder `check` with the report.

    Args:
        config: As for `prepare`; `out` need not be named. The videos of a folder or of a table may
            be without labels.

    Raises:
        ConfigError: A setting does not fit the videos.
        DataError: The videos are not laid out as expected.
        PipelineError: Worker processes cannot be started, or the folder cannot be written.
    """
    out = Path(config.out)
    if config.out == PrepareConfig.out:  # It was not named.
        out = Path("data") / (folder_of_videos(config).name or "videos")
    folder = out / "check"
    with _disk_errors_named(out), alone(out, *_ALONE):
        manifest = read_manifest(config)
        rows, obstacle = manifest.rows, ""
        if all(row.label for row in rows):
            manifest.check_classes()
            try:
                rows = choose_split(manifest, config).rows
            except DataError as error:
                obstacle = str(error)
        folder.mkdir(exist_ok=True, parents=True)
        expect_writable(folder / "data_report.md")  # before hours of decoding
        tasks = _plan(_sources(manifest, config), rows, config, out)
        found = examine(tasks, check_shards(tasks, config), annotations=manifest.annotations)
        write_findings(folder, found.videos, found.report, root=folder)
        obstacle = "\n".join(filter(None, (too_many_bad(found.report, config), obstacle)))
        return CheckReport(report=found.report, folder=folder, obstacle=obstacle)


def _prepare(config: PrepareConfig, out: Path, settings: dict[str, Any]) -> PrepareReport:
    manifest = read_manifest(config)
    manifest.check_classes()
    sources = _sources(manifest, config)
    made_of = fingerprint(settings, map(identity, sources))
    old = _find_store(out)
    if old and config.classes and not config.overwrite:
        check_classes_stay(old, manifest.class_names)
    if old and old.made_of == made_of and not _lost_a_worker(old) and _is_whole(old):
        shutil.rmtree(out / PARTIAL, ignore_errors=True)  # of a preparation that was refused
        return PrepareReport(store=old, up_to_date=True)
    rows = choose_split(manifest, config, _known_splits(old, settings)).rows
    refuse_leaks(crossing(rows), config, "")
    tasks = _plan(sources, rows, config, out)
    clear_partial(out, tasks)
    reports = write_shards(tasks, config, out)
    changes = changes_since(out, sources)
    found = examine(tasks, reports, changes, annotations=manifest.annotations)
    check_findings(found, config, out / PARTIAL, root=out)
    store = finish_store(
        out,
        tasks,
        reports,
        settings=settings,
        leaks=found.leaks,
        duplicates=found.duplicates,
        made_of=made_of,
    )
    return PrepareReport(store=store, up_to_date=False)


@contextmanager
def _disk_errors_named(out: Path, kept: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PipelineError(
            f"{error.filename or out}: {error.strerror or error}. Make sure that it can be "
            f"written and that there is free space, then run the same command again{kept}."
        ) from None


def _settings(config: PrepareConfig, out: Path) -> dict[str, Any]:
    """The settings that the data set depends on; paths within `out` are relative to it."""
    settings = {**dataclasses.asdict(config), "fps": float(config.fps)}  # 15 and 15.0 are the same
    settings["classes"] = sorted(set(config.classes))
    for name in _NOT_IN_THE_STORE:
        del settings[name]
    settings["path"] = folder_of_videos(config) if config.is_rendered else config.path
    for name in ("path", "videos", "key_points"):
        if settings[name]:
            path = str(Path(settings[name]).resolve())
            settings[name] = relative_path(path, out.absolute())
    as_read: dict[str, Any] = json.loads(json.dumps(settings))  # tuples become lists
    return as_read


def _check_outside(config: PrepareConfig) -> None:
    root = folder_of_videos(config)
    # What lies beside those that are listed by hand, or marked, is none of them.
    listed_by_hand = config.is_rendered or config.source in ("csv", "list", "events")
    if not listed_by_hand and Path(config.out).resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"--out: expected a folder outside of {root}, where the videos are, "
            f"got {config.out}. Name another, such as data/NAME"
        )


def _sources(manifest: Manifest, config: PrepareConfig) -> list[SourceVideo]:
    root = folder_of_videos(config)
    # Rendering the demo videos once more gives the same videos at another time.
    timed = not config.is_rendered
    sources = [_source(row, root, timed=timed) for row in manifest.rows]
    if not (tables := _tables(config)):
        return sources
    digests = {path: _table_digest(tables, path) for path in {row.path for row in manifest.rows}}
    return [dataclasses.replace(each, table=digests[each.row.path]) for each in sources]


def _tables(config: PrepareConfig) -> Tables | None:
    return Tables(config.key_points) if config.key_points else None


def _table_digest(tables: Tables, video: str) -> str:
    try:
        return file_digest(str(tables.of(video)))
    except VideoDecodeError:  # The report on the video will say it.
        return ""


def _source(row: Row, root: Path, *, timed: bool) -> SourceVideo:
    source = SourceVideo(row=row, file=relative_path(row.path, root))
    try:
        status = Path(row.path).stat()
    except OSError:
        return source
    return dataclasses.replace(
        source,
        num_bytes=status.st_size if os.access(row.path, os.R_OK) else -1,
        modified_ns=status.st_mtime_ns if timed else 0,
    )


def _find_store(out: Path) -> Store | None:
    try:
        return describe_store(out)
    except DataError:
        return None


def _is_whole(store: Store) -> bool:
    """Whether all files of records are there, and the reports that say where each video lies."""
    try:
        return not store.missing_shard() and bool(store.records)
    except DataError:
        return False


def _lost_a_worker(store: Store) -> bool:
    """Whether a video of it cost a worker process its life, which is worth another try."""
    return any(video["problem"] == "lost" for video in store.report["left_out"])


def _known_splits(old: Store | None, settings: dict[str, Any]) -> dict[str, Split]:
    """The splits of groups that a data set of the same videos, split in the same way, has."""
    if not old or any(old.settings.get(name) != settings[name] for name in _SPLIT_SETTINGS):
        return {}
    return {row.group: row.split for row in old.manifest.rows if row.split}


def _plan(
    sources: Sequence[SourceVideo], rows: Sequence[Row], config: PrepareConfig, out: Path
) -> list[ShardTask]:
    paths = [row.path for row in rows]
    frames = dataclasses.replace(config.frames, fps=config.fps or chosen_rate(paths, config))
    if tables := _tables(config):
        head = tables.head(paths)
        people = min(config.people, head.individuals)
        frames = dataclasses.replace(frames, pose=people, key_points=head.names)
    return plan_shards(
        [dataclasses.replace(source, row=row) for source, row in zip(sources, rows, strict=True)],
        (out / PARTIAL).absolute(),  # Other machines may write them.
        frames=frames,
        shard_videos=config.shard_videos,
        seed=config.seed,
        min_frames=config.min_frames,
        tables=tables,
        limits=config.limits,
    )
