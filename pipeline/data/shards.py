"""Shards of a prepared data set: tasks that can run anywhere, in any order, more than once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import random
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import FramesConfig
from pipeline.data.atomic import atomic_write
from pipeline.data.frames import encode_video
from pipeline.data.manifest import SPLITS, Row, Split
from pipeline.data.record import MAX_BYTES, encode_record, write_record
from pipeline.errors import VideoDecodeError
from pipeline.video import DamagedVideoWarning

FORMAT = 2
"""Version of what is written; raise it when the same videos would give other bytes."""

NAME = "clipline"
"""What the names of shard files begin with: the name of the data set for TensorFlow Datasets."""

REPORTS = "shards"
"""Folder beside the shards that holds a report on each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceVideo:
    """A video that goes into a shard.

    Attributes:
        row: Its row in the manifest.
        name: Its path from the folder of all videos on, with forward slashes.
        num_bytes: Size of the file; -1: it could not be looked at.
        modified_ns: When the file was written, in nanoseconds; 0 where that does not count.
    """

    row: Row
    name: str
    num_bytes: int
    modified_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardTask:
    """Everything that writing one shard needs.

    Attributes:
        folder: Where the file is written; the report on it goes into its sub-folder `shards`.
        name: Name of the file.
        split: Where its videos belong.
        sources: The videos, in the order of their records.
        class_names: All class names of the data set; the index of a name is its label number.
        frames: Rate, size and quality of the frames.
    """

    folder: str
    name: str
    split: Split
    sources: tuple[SourceVideo, ...]
    class_names: tuple[str, ...]
    frames: FramesConfig

    @property
    def path(self) -> Path:
        """The file to write."""
        return Path(self.folder) / self.name

    @property
    def report_path(self) -> Path:
        """The report on the shard, to write after it."""
        return report_path(self.path)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with everything that the bytes of the shard depend on."""
        return fingerprint(
            dataclasses.asdict(self.frames), self.class_names, list(map(identity, self.sources))
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoReport:
    """What became of one video.

    Attributes:
        name: As in `SourceVideo`.
        declared_frames: What the container claims to hold; None: it claims nothing.
        decoded_frames: What decodes.
        stored_frames: What is stored, at the rate of the data set; 0: the video is left out.
        damaged: Whether clearly fewer frames decode than are declared.
        reason: Why the video is left out; empty: it is not.
    """

    name: str
    declared_frames: int | None = None
    decoded_frames: int | None = 0
    stored_frames: int = 0
    damaged: bool = False
    reason: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What one shard holds.

    Attributes:
        fingerprint: That of the task.
        num_records: Videos in the shard.
        num_bytes: Size of the file.
        record_bytes: Bytes of the records, without what frames them.
        videos: All videos of the task, in its order.
    """

    fingerprint: str
    num_records: int
    num_bytes: int
    record_bytes: int
    videos: tuple[VideoReport, ...]


def identity(source: SourceVideo) -> tuple[object, ...]:
    """What tells a video and its place in the data set from any other."""
    row = source.row
    return source.name, row.label, row.group, row.split, source.num_bytes, source.modified_ns


def fingerprint(*parts: object) -> str:
    """Returns a checksum of anything that JSON can hold."""
    return hashlib.sha256(json.dumps([FORMAT, *parts]).encode()).hexdigest()


def report_path(shard: Path) -> Path:
    """Where the report on a shard lies."""
    return shard.parent / REPORTS / f"{shard.name}.json"


def plan_shards(
    sources: Sequence[SourceVideo],
    folder: Path,
    *,
    frames: FramesConfig,
    shard_videos: int,
    seed: int,
) -> list[ShardTask]:
    """Deals the videos out to shards of about equal length; splits without videos get none.

    Training videos are shuffled, so that each shard mixes the classes.

    Args:
        sources: The videos, in any order, with splits.
        folder: Where they are written.
        frames: Rate, size and quality of the frames.
        shard_videos: Videos in a shard, at most.
        seed: Of the shuffle.
    """
    class_names = tuple(sorted({source.row.label for source in sources}))
    tasks = []
    for split in SPLITS:
        videos = sorted((s for s in sources if s.row.split == split), key=lambda s: s.name)
        if split == "train":
            random.Random(seed).shuffle(videos)
        num_shards = math.ceil(len(videos) / shard_videos)
        for index in range(num_shards):
            first, end = (len(videos) * i // num_shards for i in (index, index + 1))
            task = ShardTask(
                folder=str(folder),
                name=f"{NAME}-{split}.tfrecord-{index:05d}-of-{num_shards:05d}",
                split=split,
                sources=tuple(videos[first:end]),
                class_names=class_names,
                frames=frames,
            )
            tasks.append(task)
    return tasks


def finished_report(task: ShardTask, folder: Path | None = None) -> ShardReport | None:
    """Returns the report on a shard that is complete; None if it is still to be written.

    Args:
        task: The shard.
        folder: Where to look; None: where the task writes it.
    """
    shard = (folder or Path(task.folder)) / task.name
    try:
        content: dict[str, Any] = json.loads(report_path(shard).read_bytes())
        # The file of a shard without videos is removed where its whole split has none.
        num_bytes = shard.stat().st_size if content["num_bytes"] else 0
    except (OSError, ValueError):
        return None
    if content["fingerprint"] != task.fingerprint or content["num_bytes"] != num_bytes:
        return None
    videos = tuple(VideoReport(**video) for video in content.pop("videos"))
    return ShardReport(**content, videos=videos)


def write_shard(task: ShardTask, on_video: Callable[[str], None] | None = None) -> ShardReport:
    """Writes a shard and its report, unless they are there already.

    Args:
        task: What to write where; the folder and its sub-folder `shards` exist.
        on_video: Called with the name of each video before it is read.

    Raises:
        OSError: The shard cannot be written.
    """
    finished = finished_report(task)
    if finished:
        return finished
    task.report_path.unlink(missing_ok=True)  # It may tell of an older shard of this name.
    videos = []
    record_bytes = 0
    with atomic_write(task.path) as file:
        for source in task.sources:
            if on_video:
                on_video(source.name)
            record, video = _read(source, task)
            videos.append(video)
            if record:
                write_record(file, record)
                record_bytes += len(record)
        num_bytes = file.tell()
    report = ShardReport(
        fingerprint=task.fingerprint,
        num_records=sum(not video.reason for video in videos),
        num_bytes=num_bytes,
        record_bytes=record_bytes,
        videos=tuple(videos),
    )
    with atomic_write(task.report_path) as file:
        file.write(json.dumps(dataclasses.asdict(report), indent=1).encode())
    return report


def _read(source: SourceVideo, task: ShardTask) -> tuple[bytes, VideoReport]:
    """Returns the record of a video, empty where it cannot be read, and what became of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedVideoWarning)  # It is in the report.
            images, info = encode_video(source.row.path, task.frames)
    except VideoDecodeError as error:
        return b"", VideoReport(name=source.name, reason=error.reason)
    if sum(map(len, images)) > MAX_BYTES:
        reason = "its frames take more than 2 GiB: cut the video, or lower --fps or --size."
        return b"", VideoReport(name=source.name, reason=reason)
    record = encode_record(
        images=images,
        label=task.class_names.index(source.row.label),
        video=source.name,
        group=source.row.group,
        info=info,
    )
    return record, VideoReport(
        name=source.name,
        declared_frames=info.declared_frames,
        decoded_frames=info.num_frames,
        stored_frames=len(images),
        damaged=info.damaged,
    )
