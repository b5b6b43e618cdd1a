"""The prepared data set on disk: a folder that TensorFlow Datasets reads, and people, too.

```
clipline-train.tfrecord-00000-of-00003   one record a video, its frames as JPEG
dataset_info.json  features.json  label.labels.txt   what TensorFlow Datasets needs
manifest.csv        the videos that are in it: path, label, group, split
quarantine.csv      the videos that something is wrong with, with the reason
data_report.json    what is in it and what is wrong with it; as a page: data_report.md
prepare.json        how it was made; written last, so without it the folder is not finished
shards/             a report on each shard, which says what need not be written again
clipline-partial/   all of this again while it is being prepared; gone when that is finished
```

A preparation writes into `clipline-partial` and moves what it wrote as its last step: until then,
what was prepared before stays as it is, and from there an interrupted preparation goes on.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipeline.atomic import atomic_write
from pipeline.config import FramesConfig
from pipeline.data.manifest import SPLITS, Manifest, Row, read_csv, write_csv
from pipeline.data.shards.record import record_features
from pipeline.data.shards.tasks import (
    FORMAT,
    NAME,
    REPORTS,
    ShardReport,
    ShardTask,
    SourceVideo,
    finished_report,
    read_report,
    report_path,
)
from pipeline.errors import ConfigError, DataError

PARTIAL = "clipline-partial"
"""Folder within a store for what is being prepared."""

FINDINGS = ("quarantine.csv", "data_report.json", "data_report.md")
"""What says what is in the data set, and what is wrong with it."""

_STATE = "prepare.json"
_BESIDES = (
    *("dataset_info.json", "features.json", "label.labels.txt"),
    *("manifest.csv", "data_report.json"),
)
_AGAIN = "Run the same python scripts/prepare.py command again."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Store:
    """A prepared data set.

    Attributes:
        path: Its folder.
        frames: Rate, size and quality of its frames.
        class_names: The index of a name is its label number.
        num_videos: Videos of each split; a split without any is left out.
        manifest: The videos that are in it.
        settings: How it was made.
        leaks: What of its test is also in its training, in sentences.
        fingerprint: Of the videos and settings that it was made from.
    """

    path: Path
    frames: FramesConfig
    class_names: tuple[str, ...]
    num_videos: Mapping[str, int]
    manifest: Manifest
    settings: Mapping[str, Any]
    leaks: tuple[str, ...]
    fingerprint: str

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """What is in it and what is wrong with it, see `pipeline.data.checks.report`."""
        report: dict[str, Any] = json.loads((self.path / "data_report.json").read_bytes())
        return report

    @functools.cached_property
    def builder(self) -> Any:
        """The `tfds.core.DatasetBuilder`; its features are those of `record_features`.

        Reading a split takes `store.builder.as_dataset(split="train")`; this imports TensorFlow.
        """
        return tfds.builder_from_directory(self.path)


def open_store(out: str | os.PathLike[str]) -> Store:
    """Opens a prepared data set.

    Raises:
        DataError: The folder is none, is not finished, or is not whole any more.
    """
    path = Path(out)
    state = _read_state(path)
    if state["format"] != FORMAT:
        raise DataError(f"{out}: prepared by another version of this program. {_AGAIN}")
    for name, num_bytes in state["shards"].items():
        file = path / name
        if not file.is_file() or file.stat().st_size != num_bytes:
            raise DataError(f"{file}: missing or cut off. {_AGAIN}")
    for name, checksum in state["checksums"].items():
        if _checksum(path / name) != checksum:
            raise DataError(f"{path / name}: missing, or changed since it was written. {_AGAIN}")
    manifest = read_csv(path / "manifest.csv")
    videos = Counter(row.split for row in manifest.rows)
    return Store(
        path=path,
        frames=FramesConfig(**state["frames"]),
        class_names=manifest.class_names,
        num_videos={split: videos[split] for split in SPLITS if videos[split]},
        manifest=manifest,
        settings=state["settings"],
        leaks=tuple(state["leaks"]),
        fingerprint=state["fingerprint"],
    )


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads((path / _STATE).read_bytes())
    except OSError:
        if _is_begun(path):
            raise DataError(f"{path}: its preparation was not finished. {_AGAIN}") from None
        raise DataError(
            f"{path}: not a prepared data set. Make one with: python scripts/prepare.py "
            f"--source folder --path VIDEOS --out {path}; the demo: python scripts/prepare.py"
        ) from None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("settings"), dict):
        raise DataError(f"{path / _STATE}: damaged. {_AGAIN}")
    return {"format": 0, **state}


def _is_begun(path: Path) -> bool:
    """Whether a data set, if not a whole one, is in a folder."""
    signs = (_STATE, PARTIAL, "videos/demo.json", "check/data_report.json")
    return any((path / name).exists() for name in signs) or bool(_reports(path))


def _checksum(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


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
    if not _is_begun(out):
        raise ConfigError(
            f"--out: {out} holds something else than a data set. Name a new folder, such as "
            "data/NAME"
        )
    try:
        settings = _read_state(out)["settings"]
    except DataError:  # It is not whole, and about to be mended.
        return
    if not overwrite and origin != {name: settings.get(name) for name in origin}:
        old = " ".join(str(settings.get(name)) for name in origin)
        raise ConfigError(
            f"--out: {out} holds a data set of other videos ({old}). Name another folder, or "
            "replace it: --overwrite"
        )


def clear_partial(out: Path, tasks: Sequence[ShardTask]) -> None:
    """Makes the folder for what is being prepared; of an interrupted preparation, what fits stays.

    Args:
        out: The folder of the data set.
        tasks: The shards to write.
    """
    partial = out / PARTIAL
    (partial / REPORTS).mkdir(parents=True, exist_ok=True)
    finished = {task.name for task in tasks if finished_report(task)}
    for path in (*_shards(partial), *_reports(partial)):
        if path.name.removesuffix(".json") not in finished:
            path.unlink()


def changes_since(out: Path, sources: Iterable[SourceVideo]) -> dict[str, list[str]]:
    """Names of the videos that were added, changed or removed since the last preparation.

    Args:
        out: The folder of the data set; where there is none yet, nothing changed.
        sources: The videos as they are now.
    """
    nothing: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    try:
        before = {
            video.name: (video.num_bytes, video.modified_ns)
            for path in _reports(out)
            for video in read_report(path).videos
        }
    except ValueError:  # A damaged report says nothing of its videos.
        return nothing
    now = {source.name: (source.num_bytes, source.modified_ns) for source in sources}
    if not before:
        return nothing
    return {
        "added": sorted(now.keys() - before.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        "removed": sorted(before.keys() - now.keys()),
    }


def finish_store(
    out: Path,
    tasks: Sequence[ShardTask],
    reports: Sequence[ShardReport],
    *,
    settings: Mapping[str, Any],
    leaks: Sequence[str],
    fingerprint: str,
) -> Store:
    """Puts what was prepared in place, writes all that belongs to it, and opens the store.

    Args:
        out: The folder of the data set; each shard is there already, or in `partial`, where the
            quarantine and the data report are as well.
        tasks: The shards.
        reports: The report on each.
        settings: How the data set was made.
        leaks: What of its test is also in its training, in sentences.
        fingerprint: Of the videos and settings that the data set was made from.

    Raises:
        DataError: A class has no readable video for training.
    """
    stored = [
        source
        for task, report in zip(tasks, reports, strict=True)
        for source, video in zip(task.sources, report.videos, strict=True)
        if not video.problem
    ]
    stored.sort(key=lambda source: source.name)
    rows = tuple(source.row for source in stored)
    _check_classes(out / PARTIAL / "quarantine.csv", tasks[0].class_names, rows)
    _put_in_place(out, tasks)
    write_csv(Manifest(rows=rows), out / "manifest.csv")
    _write_metadata(out, tasks, reports)
    state = {
        "format": FORMAT,
        "frames": dataclasses.asdict(tasks[0].frames),
        "settings": settings,
        "leaks": list(leaks),
        "shards": {path.name: path.stat().st_size for path in _shards(out)},
        "checksums": {name: _checksum(out / name) for name in _BESIDES},
        "fingerprint": fingerprint,
    }
    with atomic_write(out / _STATE) as file:
        file.write(json.dumps(state, indent=1, ensure_ascii=False).encode())
    shutil.rmtree(out / PARTIAL)
    return open_store(out)


def _put_in_place(out: Path, tasks: Sequence[ShardTask]) -> None:
    """Moves what was written; until the end of it, the data set is not finished.

    Shards that are there from before and not of these tasks go.
    """
    (out / _STATE).unlink(missing_ok=True)
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
    for shard in (*_shards(out), *(out / path.stem for path in _reports(out))):
        if shard.name not in names:
            shard.unlink(missing_ok=True)
            report_path(shard).unlink(missing_ok=True)


def _shards(folder: Path) -> list[Path]:
    """Shards, whole or not, by their names."""
    return sorted(folder.glob(f"{NAME}-*.tfrecord-*"))


def _reports(folder: Path) -> list[Path]:
    """Reports on shards, whole or not, by their names."""
    return sorted((folder / REPORTS).glob(f"{NAME}-*.tfrecord-*.json*"))


def _check_classes(quarantine: Path, class_names: Sequence[str], stored: Sequence[Row]) -> None:
    missing = sorted(set(class_names) - {row.label for row in stored if row.split == "train"})
    if missing:
        raise DataError(
            "expected a readable training video of each class, got none of "
            f"{', '.join(map(repr, missing))}; {quarantine} says why."
        )


def _write_metadata(out: Path, tasks: Sequence[ShardTask], reports: Sequence[ShardReport]) -> None:
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
        features=record_features(class_names, frames.size),
        split_infos=split_infos,
        version="1.0.0",
        check_data=False,
        description=f"Videos at {frames.fps:g} frames per second.",
    )
