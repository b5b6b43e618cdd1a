"""Writing what is said of prepared videos, and putting it in place beside their frames."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.config import FramesConfig
from pipeline.errors import ConfigError, DataError
from pipeline.frames.chunks import NAME, chunk_features, split_name
from pipeline.frames.decoding import FileReport
from pipeline.frames.store import FRAMES, unneeded_files
from pipeline.manifest.rows import Manifest, Row
from pipeline.manifest.stored import Clip, write_clips
from pipeline.prepare.leaks import Duplicate
from pipeline.prepare.plan import (
    FILES,
    FORMAT,
    KnownFile,
    SourceVideo,
    Video,
    files_of,
    fingerprint,
    marks,
    write_files,
)
from pipeline.prepare.prepared import (
    CHECKED,
    FINDINGS,
    PARTIAL,
    STATE,
    PreparedDataset,
    checksum,
    describe_prepared,
    is_begun,
    read_state,
)
from pipeline.text import listed

_OF_FRAMES = ("dataset_info.json", "features.json")
_METADATA = tuple(f"{FRAMES}/{name}" for name in _OF_FRAMES)
"""What TensorFlow Datasets needs."""


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


def check_classes_stay(old: PreparedDataset, class_names: Sequence[str]) -> None:
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


def changes_since(
    before: Mapping[str, KnownFile], sources: Iterable[SourceVideo]
) -> dict[str, list[str]]:
    """Names of the files that were added, changed or removed since the last preparation.

    By what became of them; empty if there are none, or no data set yet.
    """
    now = {source.file: source for source in sources}
    if not before:
        return {}
    changes = {
        "added": sorted(now.keys() - before.keys()),
        "changed": sorted(
            name for name in now.keys() & before.keys() if not before[name].is_of(now[name])
        ),
        "removed": sorted(before.keys() - now.keys()),
    }
    return changes if any(changes.values()) else {}


def put_in_place(
    out: Path,
    videos: Sequence[Video],
    files: Mapping[str, FileReport],
    *,
    frames: FramesConfig,
    settings: Mapping[str, Any],
    leaks: Sequence[str],
    duplicates: Sequence[Duplicate],
    made_of: str,
) -> PreparedDataset:
    """Puts what was prepared in place, writes all that belongs to it, and opens the data set.

    Args:
        out: Its folder; the frames are there already, and in `partial` the quarantine and the data
            report.
        videos: All videos, in the order of their names.
        files: The report on each file, by its name.
        frames: How the frames are stored.
        settings: As of `PreparedDataset`.
        leaks: As of `PreparedDataset`.
        duplicates: Its videos that are the same, or nearly.
        made_of: As of `PreparedDataset`.

    Raises:
        DataError: A class has no readable video for training.
    """
    stored = [video for video in videos if not video.problem]
    clips = [
        Clip(
            row=video.row,
            name=video.name,
            frames=video.file.key,
            first_frame=video.look.first,
            num_frames=video.look.num_frames,
        )
        for video in stored
    ]
    rows = tuple(clip.row for clip in clips)
    _check_classes(out / PARTIAL / "quarantine.csv", [video.row for video in videos], rows)
    before = _state_of(out)
    (out / STATE).unlink(missing_ok=True)  # Until the end of this, the data set is not finished.
    for name in FINDINGS:
        (out / PARTIAL / name).replace(out / name)
    write_clips(clips, out / "manifest.csv")
    write_files(out / FILES, [video.source for video in videos], files)
    used = {video.file.key: video.file for video in stored}
    splits = _splits_of(used)
    chunks = fingerprint(frames.as_json(), splits.items())
    if chunks != before.get("chunks") or not _is_unchanged(out, before):
        _write_metadata(out / FRAMES, frames, splits)
    _remove_older_version(out)
    state = {
        "format": FORMAT,
        "frames": frames.as_json(),
        "labelling": Manifest(rows=rows).labelling,
        "settings": settings,
        "leaks": list(leaks),
        "alike": _places(duplicates, stored),
        "files": {
            file.name: num_bytes
            for _, report in sorted(used.items())
            for file, num_bytes in files_of(report, out / FRAMES)
        },
        "chunks": chunks,
        "checksums": {name: checksum(out / name) for name in (*CHECKED, *_METADATA)},
        "fingerprint": _content_fingerprint(frames, clips),
        "made_of": made_of,
    }
    with atomic_write(out / STATE) as file:
        file.write(json.dumps(state, indent=1, ensure_ascii=False).encode())
    shutil.rmtree(out / PARTIAL)
    return describe_prepared(out)


def _content_fingerprint(frames: FramesConfig, clips: Iterable[Clip]) -> str:
    """A fingerprint of videos: the same wherever the same ones are prepared alike."""
    videos = (
        (
            *(clip.name, clip.row.label, clip.row.group, clip.row.split),
            *(clip.frames, clip.first_frame, clip.num_frames, *marks(clip.row)),
        )
        for clip in clips
    )
    return fingerprint(frames.as_json(), videos)


def _state_of(out: Path) -> dict[str, Any]:
    try:
        return read_state(out)
    except DataError:
        return {}


def _is_unchanged(out: Path, before: Mapping[str, Any]) -> bool:
    """Whether TensorFlow Datasets has what it needs as it was written."""
    wanted = before.get("checksums", {})
    return all(checksum(out / name) == wanted.get(name) for name in _METADATA)


def _splits_of(used: Mapping[str, FileReport]) -> dict[str, tuple[int, int]]:
    """For TensorFlow Datasets each file of chunks is a split: its bytes and its chunks."""
    return {
        split_name(key, first): (num_bytes, number)
        for key, report in sorted(used.items())
        for first, num_bytes, number in report.segments
    }


def _remove_older_version(out: Path) -> None:
    """Removes what an older version stored, pixels together with labels."""
    for shard in out.glob(f"{NAME}-*.tfrecord-*"):
        shard.unlink()
    for name in (*_OF_FRAMES, "label.labels.txt"):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "shards", ignore_errors=True)


def prune(store: PreparedDataset) -> int:
    """Removes the frames that no video of a data set needs; returns how many bytes they took."""
    files = list(unneeded_files(store.frames_folder, {clip.frames for clip in store.clips}))
    num_bytes = sum(file.stat().st_size for file in files)
    for file in files:
        file.unlink()
    return num_bytes


def _places(
    duplicates: Sequence[Duplicate], stored: Sequence[Video]
) -> list[tuple[str, list[int]]]:
    """Rows of the manifest that are the same, which could leak with other splits."""
    place = {video.name: index for index, video in enumerate(stored)}
    return [
        (each.what, [place[source.name] for source in each.sources])
        for each in duplicates
        if len({(source.row.group, source.row.label) for source in each.sources}) > 1
    ]


def _check_classes(quarantine: Path, wanted: Sequence[Row], stored: Sequence[Row]) -> None:
    trained = Manifest(rows=tuple(row for row in stored if row.split == "train"))
    class_names = Manifest(rows=tuple(wanted)).class_names
    missing = sorted(set(class_names) - set(trained.class_names))
    if missing:
        raise DataError(
            "expected a readable training video of each class, got none of "
            f"{', '.join(map(repr, missing))}; {quarantine} says why."
        )


def _write_metadata(
    folder: Path, frames: FramesConfig, splits: Mapping[str, tuple[int, int]]
) -> None:
    """Writes what TensorFlow Datasets needs."""
    import tensorflow_datasets as tfds  # takes a while

    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=NAME, filetype_suffix="tfrecord"
    )
    identity = tfds.core.DatasetIdentity(
        name=NAME, version=tfds.core.Version("1.0.0"), data_dir=str(folder), module_name=""
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        features=chunk_features(frames),
        description=f"Frames of videos: {frames}.",
    )
    info.set_file_format("tfrecord")
    each = [
        tfds.core.SplitInfo(
            name=name,
            shard_lengths=[number],
            num_bytes=num_bytes,
            filename_template=template.replace(split=name),
        )
        for name, (num_bytes, number) in splits.items()
    ]
    info.set_splits(tfds.core.SplitDict(each))
    info.write_to_directory(folder)
