"""From videos to a prepared data set: list, split, write shards, write what belongs to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.config import FramesConfig, PrepareConfig
from pipeline.data.manifest import SPLITS, Manifest, Row, relative_path
from pipeline.data.shards import (
    ShardReport,
    ShardTask,
    SourceVideo,
    fingerprint,
    finished_report,
    identity,
    plan_shards,
    write_shard,
)
from pipeline.data.sources.folder import scan_folder
from pipeline.data.split import split_by_group
from pipeline.data.store import (
    PARTIAL,
    Store,
    check_folder,
    clear_partial,
    finish_store,
    open_store,
)
from pipeline.data.workers import run_in_workers
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.text import counted, listed


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """What a preparation came to; as text, a summary to print.

    Attributes:
        store: The prepared data set.
        up_to_date: Whether it was there already, so that nothing was done.
    """

    store: Store
    up_to_date: bool

    def __str__(self) -> str:
        store = self.store
        state = "is up to date" if self.up_to_date else "is ready"
        lines = [f"{store.path} {state}: {_counts(store.manifest.rows, store.class_names)}"]
        for split in SPLITS:
            rows = [row for row in store.manifest.rows if row.split == split]
            if rows:
                lines.append(f"  {split:<5}  {_counts(rows, store.class_names)}")
        if store.damaged:
            shown = "; ".join(store.damaged[:3]) + ("; ..." if len(store.damaged) > 3 else "")
            lines.append(f"{len(store.damaged)} damaged, kept with what decodes: {shown}")
        quarantine = store.path / "quarantine.csv"
        left_out = counted(store.num_quarantined, "video")
        lines.append(f"{left_out} quarantined, listed in {quarantine}")
        return "\n".join(lines)


def _counts(rows: Sequence[Row], class_names: Sequence[str]) -> str:
    found = {row.label for row in rows}
    missing = [name for name in class_names if name not in found]
    without = f" (none of {listed(missing)})" if missing else ""
    classes = f"{len(found)} class{'' if len(found) == 1 else 'es'}{without}"
    groups = counted(len({row.group for row in rows}), "group")
    return f"{counted(len(rows), 'video')}, {classes}, {groups}"


def prepare(config: PrepareConfig) -> PrepareReport:
    """Makes a prepared data set of videos, or brings one up to date.

    The shards are written by worker processes. What is there already and would come out the same
    is kept, so that an interrupted preparation goes on where it was, and a second one does nothing.

    Args:
        config: The videos, where the data set goes, and how it is made.

    Raises:
        ConfigError: A setting does not fit the videos.
        DataError: The videos cannot be used as they are.
        PipelineError: A worker process died, or the folder cannot be written.
    """
    try:
        return _prepare(config, Path(config.out))
    except OSError as error:
        raise PipelineError(
            f"{error.filename or config.out}: {error.strerror or error}. Make sure that it can be "
            "written and that there is free space, then run the same command again; finished "
            "shards are kept."
        ) from None


def _prepare(config: PrepareConfig, out: Path) -> PrepareReport:
    root = out / "videos" if config.source == "demo" else Path(config.path)
    root = root.absolute()
    origin = {"source": config.source, "path": relative_path(str(root), out.absolute())}
    _check_outside(config, root)
    check_folder(out, origin, overwrite=config.overwrite)
    manifest = _list_videos(config, root)
    # Rendering the demo videos once more gives the same videos at another time.
    videos = [_look_at(row, root, timed=config.source != "demo") for row in manifest.rows]
    settings = _settings(config) | origin
    mark = fingerprint(settings, list(map(identity, videos)))
    store = _find_store(out, mark)
    if store:
        return PrepareReport(store=store, up_to_date=True)
    rows = _split(manifest, config).rows
    tasks = plan_shards(
        [dataclasses.replace(video, row=row) for video, row in zip(videos, rows, strict=True)],
        out / PARTIAL,
        frames=FramesConfig(fps=config.fps, size=config.size, jpeg_quality=config.jpeg_quality),
        shard_videos=config.shard_videos,
        seed=config.seed,
    )
    clear_partial(out, tasks)
    reports = _write_shards(tasks, out, workers=config.workers)
    store = finish_store(out, tasks, reports, settings=settings, fingerprint=mark)
    return PrepareReport(store=store, up_to_date=False)


def _list_videos(config: PrepareConfig, root: Path) -> Manifest:
    if config.source == "demo":
        from pipeline.data.sources.demo import render_demo

        return render_demo(root, seed=config.seed, workers=config.workers)
    return scan_folder(config.path, group_regex=config.group_regex)


def _check_outside(config: PrepareConfig, root: Path) -> None:
    if config.source != "demo" and Path(config.out).resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"--out: expected a folder outside of --path {config.path}, got {config.out}, which "
            "would be taken for a class."
        )


def _look_at(row: Row, root: Path, *, timed: bool) -> SourceVideo:
    try:
        status = Path(row.path).stat()
        num_bytes, modified_ns = status.st_size, status.st_mtime_ns
    except OSError:  # It will be quarantined.
        num_bytes, modified_ns = -1, 0
    return SourceVideo(
        row=row,
        name=relative_path(row.path, root),
        num_bytes=num_bytes,
        modified_ns=modified_ns if timed else 0,
    )


def _write_shards(tasks: Sequence[ShardTask], out: Path, *, workers: int) -> list[ShardReport]:
    """Writes the shards that are not there yet; returns the report on each."""
    reports = {task.name: finished_report(task) or finished_report(task, out) for task in tasks}
    todo = [task for task in tasks if not reports[task.name]]
    num_videos, num_todo = (sum(len(task.sources) for task in some) for some in (tasks, todo))
    written = run_in_workers(
        write_shard,
        todo,
        doing="preparing",
        workers=workers,
        num_videos=num_videos,
        done=num_videos - num_todo,
    )
    reports |= {task.name: report for task, report in zip(todo, written, strict=True)}
    return [report for report in reports.values() if report]


def _settings(config: PrepareConfig) -> dict[str, Any]:
    """The settings that the data set depends on."""
    settings = {**dataclasses.asdict(config), "fps": float(config.fps)}  # 15 and 15.0 are the same
    for name in ("out", "workers", "overwrite"):
        del settings[name]
    return settings


def _find_store(out: Path, mark: str) -> Store | None:
    try:
        store = open_store(out)
    except DataError:
        return None
    return store if store.fingerprint == mark else None


def _split(manifest: Manifest, config: PrepareConfig) -> Manifest:
    if not all(row.split for row in manifest.rows):
        manifest = split_by_group(
            manifest,
            val_fraction=config.val_fraction,
            test_fraction=config.test_fraction,
            test_groups=config.test_groups,
            seed=config.seed,
        )
    manifest.check()
    return manifest
