"""From videos to a prepared data set: list, split, decode what is missing, write what is said."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.atomic import expect_writable
from pipeline.config import FramesConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError, PipelineError, VideoDecodeError
from pipeline.frames.chunks import INDICES
from pipeline.frames.decoding import FileReport
from pipeline.frames.hashing import file_digest
from pipeline.frames.store import FRAMES
from pipeline.key_points import Tables
from pipeline.locks import alone
from pipeline.manifest.rows import Manifest, Row, Split, relative_path
from pipeline.manifest.split import choose_split
from pipeline.prepare.decode_all import decode_all
from pipeline.prepare.findings import (
    check_findings,
    examine,
    refuse_leaks,
    too_many_bad,
    write_findings,
)
from pipeline.prepare.leaks import crossing
from pipeline.prepare.plan import (
    FILES,
    KnownFile,
    SourceVideo,
    Video,
    fingerprint,
    identity,
    plan_files,
    read_files,
    video_of,
    write_files,
)
from pipeline.prepare.prepared import PARTIAL, PreparedDataset, describe_prepared
from pipeline.prepare.publish import (
    changes_since,
    check_classes_stay,
    check_folder,
    prune,
    put_in_place,
)
from pipeline.prepare.rate import chosen_rate
from pipeline.prepare.summary import CheckReport, PrepareReport
from pipeline.sources.reading import folder_of_videos, read_manifest

CHECK = "check"
"""Folder of a data set for the report of a check."""

_ALONE = ("preparing or checking", "name another folder (--out)")
_NOT_IN_THE_STORE = (
    *("out", "workers", "overwrite", "check", "download", "prune", "frames"),
    *("runner", "beam_options", "max_bad_fraction", "seconds_per_video"),
)
_SPLIT_SETTINGS = (
    *("source", "path", "annotations", "group_regex", "test_groups"),
    *("val_fraction", "test_fraction", "folds", "fold", "seed"),
)


def prepare(config: PrepareConfig, *, least_classes: int = 2) -> PrepareReport:
    """Makes a prepared data set of videos, or brings one up to date.

    Files are decoded by worker processes, each once: what is there already is kept, so that an
    interrupted preparation goes on where it was, and other labels or splits decode nothing. Until
    all is found good, what was prepared before stays as it is.

    Args:
        config: The videos, where the data set goes, and how it is made.
        least_classes: How many classes there must be.

    Raises:
        ConfigError: A setting does not fit the videos.
        DataError: The videos cannot be used as they are: their layout, leaks, too many bad ones.
        PipelineError: Worker processes cannot be started, or the folder cannot be written.
    """
    out = Path(config.out)
    with _disk_errors_named(out, "; what is decoded is kept"):
        settings = _settings(config, out)
        _check_outside(config)
        with alone(out, *_ALONE):
            origin = {name: settings[name] for name in ("source", "path")}
            check_folder(out, origin, overwrite=config.overwrite)
            return _prepare(config, out, settings, least_classes)


def check_videos(config: PrepareConfig) -> CheckReport:
    """Decodes all videos as `prepare` does and reports on them, but makes no data set.

    The folder `out` gets a sub-folder `check` with the report. The frames stay for a preparation.

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
    folder = out / CHECK
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
        sources = _with_rows(_sources(manifest, config), rows)
        frames, files = _decoded(sources, config, out, doing="checking")
        write_files(folder / FILES, sources, files)
        videos = _videos(sources, files, frames, config)
        found = examine(videos, frames.fps, annotations=manifest.annotations)
        write_findings(folder, found.videos, found.report, root=folder)
        obstacle = "\n".join(filter(None, (too_many_bad(found.report, config), obstacle)))
        return CheckReport(report=found.report, folder=folder, obstacle=obstacle)


def _prepare(
    config: PrepareConfig, out: Path, settings: dict[str, Any], least_classes: int
) -> PrepareReport:
    manifest = read_manifest(config)
    manifest.check_classes(at_least=least_classes)
    sources = _sources(manifest, config)
    made_of = fingerprint(settings, map(identity, sources))
    old = _find_store(out)
    if old and config.classes and not config.overwrite:
        check_classes_stay(old, manifest.class_names)
    if old and old.made_of == made_of and not _lost_a_worker(old) and not old.missing_file():
        shutil.rmtree(out / PARTIAL, ignore_errors=True)  # of a preparation that was refused
        return PrepareReport(store=old, up_to_date=True, freed=_freed(old, config))
    rows = choose_split(manifest, config, _known_splits(old, settings)).rows
    refuse_leaks(crossing(rows), config, "")
    sources = _with_rows(sources, rows)
    changes = changes_since(read_files(out / FILES) if old else {}, sources)
    frames, files = _decoded(sources, config, out, doing="preparing")
    videos = _videos(sources, files, frames, config)
    found = examine(videos, frames.fps, changes, annotations=manifest.annotations)
    (out / PARTIAL).mkdir(parents=True, exist_ok=True)
    check_findings(found, config, out / PARTIAL, root=out)
    store = put_in_place(
        out,
        found.videos,
        files,
        frames=frames,
        settings=settings,
        leaks=found.leaks,
        duplicates=found.duplicates,
        made_of=made_of,
    )
    decoded = sum(report.num_decoded > 0 for report in files.values())
    return PrepareReport(store=store, num_decoded=decoded, freed=_freed(store, config))


def _freed(store: PreparedDataset, config: PrepareConfig) -> int | None:
    return prune(store) if config.prune else None


def _decoded(
    sources: Sequence[SourceVideo], config: PrepareConfig, out: Path, *, doing: str
) -> tuple[FramesConfig, dict[str, FileReport]]:
    """Decodes what is not there; returns how frames are stored, and the report on each file."""
    folder = (out / FRAMES).absolute()  # Other machines may write into it.
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.tmp"):  # by a kill
        left.unlink()
    known = {**read_files(out / CHECK / FILES), **read_files(out / FILES)}
    frames, tables = _frames(sources, known, config), _tables(config)
    reports, tasks = plan_files(
        sources,
        known,
        folder,
        frames=frames,
        tables=tables,
        others=_others(out, config),
        limits=config.limits,
    )
    return frames, {**reports, **decode_all(tasks, config, doing=doing, done=len(reports))}


def _others(out: Path, config: PrepareConfig) -> list[str]:
    """Folders that may hold the same frames: of the data set that is named, and of those beside."""
    named = [Path(config.frames)] if config.frames else []
    if named and not named[0].is_dir():
        raise ConfigError(f"--frames: expected the folder of a data set, got {config.frames}")
    if named and not any(any(each.glob(INDICES)) for each in (named[0], named[0] / FRAMES)):
        raise ConfigError(
            f"--frames: no frames are stored in {config.frames}. Name a prepared data set"
        )
    beside = sorted(out.absolute().parent.glob(f"*/{FRAMES}/"))
    named += [path / FRAMES for path in named]
    own = (out / FRAMES).absolute()
    return [str(each.absolute()) for each in (*named, *beside) if each.absolute() != own]


def _frames(
    sources: Sequence[SourceVideo], known: Mapping[str, KnownFile], config: PrepareConfig
) -> FramesConfig:
    """Rate, size and quality of the frames, and what is stored beside them."""
    paths = [source.row.path for source in sources]
    rates = {
        source.row.path: known[source.file].report.fps
        for source in sources
        if source.file in known and known[source.file].is_of(source)
    }
    frames = dataclasses.replace(config.stored, fps=config.fps or chosen_rate(paths, config, rates))
    if tables := _tables(config):
        head = tables.head(paths)
        people = min(config.people, head.individuals)
        frames = dataclasses.replace(frames, pose=people, key_points=head.names)
    return frames


def _with_rows(sources: Sequence[SourceVideo], rows: Sequence[Row]) -> list[SourceVideo]:
    return [dataclasses.replace(s, row=row) for s, row in zip(sources, rows, strict=True)]


def _videos(
    sources: Sequence[SourceVideo],
    files: Mapping[str, FileReport],
    frames: FramesConfig,
    config: PrepareConfig,
) -> list[Video]:
    """The videos, each with what is known of it."""
    return [
        video_of(source, files[source.file], fps=frames.fps, min_frames=config.min_frames)
        for source in sources
    ]


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
    if not listed_by_hand and not Path(config.path).is_dir():
        return  # Whoever lists the videos says so.
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


def _find_store(out: Path) -> PreparedDataset | None:
    try:
        return describe_prepared(out)
    except DataError:
        return None


def _lost_a_worker(store: PreparedDataset) -> bool:
    """Whether a video of it cost a worker process its life, which is worth another try."""
    return any(video["problem"] == "lost" for video in store.report["left_out"])


def _known_splits(old: PreparedDataset | None, settings: dict[str, Any]) -> dict[str, Split]:
    """The splits of groups that a data set of the same videos, split in the same way, has."""
    if not old or any(old.settings.get(name) != settings[name] for name in _SPLIT_SETTINGS):
        return {}
    return {row.group: row.split for row in old.manifest.rows if row.split}
