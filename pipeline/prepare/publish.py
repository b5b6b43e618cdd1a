"""Writing what belongs to the shards of a prepared data set, and putting all of it in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipeline.atomic import atomic_write
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import SPLITS, Labelling, Manifest, Row, write_csv
from pipeline.prepare.leaks import Duplicate
from pipeline.prepare.plan import (
    FORMAT,
    NAME,
    REPORTS,
    ShardReport,
    ShardTask,
    SourceVideo,
    content_fingerprint,
    finished_report,
    read_report,
    report_path,
)
from pipeline.prepare.prepared import (
    FINDINGS,
    PARTIAL,
    STATE,
    Store,
    checked_files,
    checksum,
    describe_store,
    is_begun,
    read_state,
    report_files,
    shard_files,
)
from pipeline.prepare.record import record_features
from pipeline.text import listed


def check_folder(out: Path, origin: Mapping[str, str], *, overwrite: bool) -> None:
    """Makes sure that preparing into a folder destroys nothing that belongs to something else.

    Args:
        out: The folder of the data set.
        origin: The settings that say which videos it is made of.
        overwrite: Whether a data set of other videos may be replaced.

    Raises:
        ConfigError: It holds something else than a data set, or a data set of other videos.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out: {out} is a file. Name a folder, such as data/NAME")
    if not out.exists() or all(path.name.startswith(".") for path in out.iterdir()):
        return
    if not is_begun(out):
        raise ConfigError(
            f"--out: {out} holds something else than a data set. Name a new folder, such as "
            "data/NAME"
        )
    try:
        settings = read_state(out)["settings"]
    except DataError:  # It is not whole, and about to be mended.
        return
    if not overwrite and origin != {name: settings.get(name) for name in origin}:
        old = " ".join(str(settings.get(name)) for name in origin)
        raise ConfigError(
            f"--out: {out} holds a data set of other videos ({old}). Name another folder, or "
            "replace it: --overwrite"
        )


def check_classes_stay(old: Store, class_names: Sequence[str]) -> None:
    """Makes sure that choosing classes takes none out of a data set that has more.

    Raises:
        ConfigError: It would; the message names them.
    """
    dropped = sorted(set(old.class_names) - set(class_names))
    if dropped:
        raise ConfigError(
            f"--classes: {old.path} also holds videos of {listed(map(repr, dropped))}, which would "
            "go. Name another folder (--out), or replace it: --overwrite"
        )


def clear_partial(out: Path, tasks: Sequence[ShardTask]) -> None:
    """Makes the folder of what is being prepared; of one that was interrupted, what fits stays."""
    partial = out / PARTIAL
    (partial / REPORTS).mkdir(parents=True, exist_ok=True)
    finished = {task.name for task in tasks if finished_report(task, retry=True)}
    for path in (*shard_files(partial), *report_files(partial)):
        if path.name.removesuffix(".json") not in finished:
            path.unlink()


def changes_since(out: Path, sources: Iterable[SourceVideo]) -> dict[str, list[str]]:
    """Names of the videos that were added, changed or removed since the last preparation.

    By what became of them; empty if there are none, or no data set yet.
    """
    try:
        before = {
            video.name: (video.num_bytes, video.modified_ns)
            for path in report_files(out)
            for video in read_report(path).videos
        }
    except ValueError:  # A damaged report says nothing of its videos.
        return {}
    now = {source.name: (source.num_bytes, source.modified_ns) for source in sources}
    if not before:
        return {}
    changes = {
        "added": sorted(now.keys() - before.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        "removed": sorted(before.keys() - now.keys()),
    }
    return changes if any(changes.values()) else {}


def finish_store(
    out: Path,
    tasks: Sequence[ShardTask],
    reports: Sequence[ShardReport],
    *,
    settings: Mapping[str, Any],
    leaks: Sequence[str],
    duplicates: Sequence[Duplicate],
    made_of: str,
) -> Store:
    """Puts what was prepared in place, writes all that belongs to it, and opens the store.

    Args:
        out: The folder of the data set; each shard is there already, or in `partial`, where the
            quarantine and the data report are as well.
        tasks: The shards.
        reports: The report on each.
        settings: As of `Store`.
        leaks: As of `Store`.
        duplicates: Its videos that are the same, or nearly.
        made_of: As of `Store`.

    Raises:
        DataError: A class has no readable video for training.
    """
    records = [
        (source, video.digest)
        for task, report in zip(tasks, reports, strict=True)
        for source, video in zip(task.sources, report.videos, strict=True)
        if not video.problem
    ]
    stored = sorted((source for source, _ in records), key=lambda source: source.name)
    rows = tuple(source.row for source in stored)
    _check_classes(out / PARTIAL / "quarantine.csv", tasks[0].class_names, rows)
    _put_in_place(out, tasks)
    manifest = Manifest(rows=rows)
    labelling = manifest.labelling
    write_csv(manifest, out / "manifest.csv")
    _write_metadata(out, tasks, reports, labelling)
    state = {
        "format": FORMAT,
        "frames": tasks[0].frames.as_json(),
        "labelling": labelling,
        "settings": settings,
        "leaks": list(leaks),
        "alike": _places(duplicates, stored),
        "shards": {path.name: path.stat().st_size for path in shard_files(out)},
        "checksums": {name: checksum(out / name) for name in checked_files(labelling)},
        "fingerprint": content_fingerprint(tasks[0].frames, records),
        "made_of": made_of,
    }
    with atomic_write(out / STATE) as file:
        file.write(json.dumps(state, indent=1, ensure_ascii=False).encode())
    shutil.rmtree(out / PARTIAL)
    return describe_store(out)


def _put_in_place(out: Path, tasks: Sequence[ShardTask]) -> None:
    """Moves what was written; until the end of it, the data set is not finished.

    Shards that are there from before and not of these tasks go.
    """
    (out / STATE).unlink(missing_ok=True)
    (out / REPORTS).mkdir(exist_ok=True)
    partial = out / PARTIAL
    for task in tasks:
        if finished_report(task, partial):
            for path in (partial / task.name, report_path(partial / task.name)):
                if path.exists():  # The shard of a split without any video is none.
                    path.replace(out / path.relative_to(partial))
    for name in FINDINGS:
        (partial / name).replace(out / name)
    names = {task.name for task in tasks}
    for shard in (*shard_files(out), *(out / path.stem for path in report_files(out))):
        if shard.name not in names:
            shard.unlink(missing_ok=True)
            report_path(shard).unlink(missing_ok=True)


def _places(
    duplicates: Sequence[Duplicate], stored: Sequence[SourceVideo]
) -> list[tuple[str, list[int]]]:
    """Rows of the manifest that are the same, which could leak with other splits."""
    place = {source.name: index for index, source in enumerate(stored)}
    return [
        (each.what, [place[source.name] for source in each.sources])
        for each in duplicates
        if len({(source.row.group, source.row.label) for source in each.sources}) > 1
    ]


def _check_classes(quarantine: Path, class_names: Sequence[str], stored: Sequence[Row]) -> None:
    trained = Manifest(rows=tuple(row for row in stored if row.split == "train"))
    missing = sorted(set(class_names) - set(trained.class_names))
    if missing:
        raise DataError(
            "expected a readable training video of each class, got none of "
            f"{', '.join(map(repr, missing))}; {quarantine} says why."
        )


def _write_metadata(
    out: Path, tasks: Sequence[ShardTask], reports: Sequence[ShardReport], labelling: Labelling
) -> None:
    """Writes what TensorFlow Datasets needs; files of splits without any video are removed."""
    template = tfds.core.ShardedFileTemplate(
        data_dir=out, dataset_name=NAME, filetype_suffix="tfrecord"
    )
    split_infos = []
    for split in SPLITS:
        shards = [pair for pair in zip(tasks, reports, strict=True) if pair[0].split == split]
        if sum(report.num_records for _, report in shards):
            info = tfds.core.SplitInfo(
                name=split,
                shard_lengths=[report.num_records for _, report in shards],
                num_bytes=sum(report.record_bytes for _, report in shards),
                filename_template=template.replace(split=split),
            )
            split_infos.append(info)
        else:
            for task, _ in shards:
                (out / task.name).unlink(missing_ok=True)
    frames, class_names = tasks[0].frames, tasks[0].class_names
    tfds.folder_dataset.write_metadata(
        data_dir=out,
        features=record_features(class_names, frames, labelling),
        split_infos=split_infos,
        version="1.0.0",
        check_data=False,
        description=f"Videos at {frames.fps:g} frames per second.",
    )
