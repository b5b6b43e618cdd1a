"""Shards of a prepared data set: tasks that can run anywhere, in any order, more than once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.config import FramesConfig
from pipeline.key_points import Tables
from pipeline.manifest.rows import SPLITS, Manifest, Row, Split
from pipeline.video import NO_LIMITS, Limits

FORMAT = 5
"""Version of what is written; raise it when the same videos would give other bytes."""

NAME = "clipline"
"""What the names of shard files begin with: the name of the data set for TensorFlow Datasets."""

REPORTS = "shards"
"""Folder beside the shards that holds a report on each."""

Problem = Literal["", "missing", "unreadable", "too short", "too large", "lost"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SourceVideo:
    """A video that goes into a shard.

    Attributes:
        row: Its row in the manifest.
        file: Path of its file, from the folder of all videos on, with forward slashes.
        num_bytes: Size of the file; -1: it cannot be read, or was not looked at.
        modified_ns: When the file was written, in nanoseconds; 0 where that does not count.
        table: SHA-256 of its table of key points, hexadecimal; empty: there is none.
    """

    row: Row
    file: str
    num_bytes: int = -1
    modified_ns: int = 0
    table: str = ""

    @property
    def name(self) -> str:
        """The file and what part of it the video is, as in a media fragment URI, or whose."""
        subject = self.row.annotation.subject if self.row.annotation else ""
        if not self.row.is_trim:
            return f"{self.file}#subject={subject}" if subject else self.file
        end = "" if self.row.end_seconds == math.inf else f",{self.row.end_seconds:.10g}"
        return f"{self.file}#t={self.row.start_seconds:.10g}{end}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardTask:
    """Everything that writing one shard needs.

    Attributes:
        folder: Where the file is written; the report on it goes into its sub-folder `shards`.
        name: Name of the file.
        split: Where its videos belong.
        sources: The videos, in the order of their records; those of one file lie together, in the
            order of time.
        class_names: All class names of the data set; the index of a name is its label number.
        frames: Rate, size and quality of the frames.
        min_frames: Stored frames of a video, at least.
        tables: Those of key points, where these are not looked for in the frames.
        limits: How large the frames of a file may be.
        skip: Videos that cost a worker process its life, which are not read again, and the reason.
    """

    folder: str
    name: str
    split: Split | Literal[""]
    sources: tuple[SourceVideo, ...]
    class_names: tuple[str, ...]
    frames: FramesConfig
    min_frames: int = 1
    tables: Tables | None = None
    limits: Limits = NO_LIMITS
    skip: tuple[tuple[str, str], ...] = ()

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
        least_and_most = self.min_frames, self.limits.pixels
        settings = self.frames.as_json(), *least_and_most, self.class_names
        return fingerprint(*settings, map(identity, self.sources))


class Piece(NamedTuple):
    """A record of a recording.

    Attributes:
        num_frames: Frames in it.
        num_bytes: Its length.
        counts: Of each class, the frames at which it holds.
    """

    num_frames: int
    num_bytes: int
    counts: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VideoReport:
    """The report on one video.

    Attributes:
        name: As in `SourceVideo`.
        num_bytes: As in `SourceVideo`.
        modified_ns: As in `SourceVideo`.
        problem: Why it is left out, in a word; empty: it is not.
        reason: The same in full.
        declared_frames: What the container claims that its file holds; None: it claims nothing.
        decoded_frames: What decodes of the video.
        missing_frames: Frames that are declared and for whose time there are none.
        stored_frames: What is stored, at the rate of the data set.
        damaged: Whether something is wrong with the file, or it ends before the part that is asked.
        damage: What is wrong with the file; empty: nothing.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Frames per second of the file.
        duration_seconds: Of the video.
        codec: FourCC of the file.
        hash: What tells it from other videos by its looks; None: it looks like nothing.
        pose_flag: How sure it is that there is someone, the mean over stored frames, 0 to 1; None:
            no key points are stored.
        digest: SHA-256 of the file, hexadecimal; empty: the video is left out.
        record_bytes: Bytes of its record in the shard, of a recording of all its records.
        pieces: Of a recording, its records, which follow one another.
    """

    name: str
    num_bytes: int = -1
    modified_ns: int = 0
    problem: Problem = ""
    reason: str = ""
    declared_frames: int | None = None
    decoded_frames: int = 0
    missing_frames: int = 0
    stored_frames: int = 0
    damaged: bool = False
    damage: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration_seconds: float = 0.0
    codec: str = ""
    hash: str | None = None
    pose_flag: float | None = None
    digest: str = ""
    record_bytes: int = 0
    pieces: tuple[Piece, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardReport:
    """The report on one shard.

    Attributes:
        fingerprint: That of the task.
        num_records: Records in the shard: one a video, several a recording.
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
    """A key of a video and its place in the data set, on this machine."""
    row = source.row
    file = source.num_bytes, source.modified_ns
    return source.name, row.label, row.group, row.split, *file, source.table, *_marks(row)


def _marks(row: Row) -> tuple[object, ...]:
    """What a person marked in a recording."""
    marks = row.annotation
    if not marks:
        return ()
    return ((marks.events, marks.known, marks.background, marks.subject, marks.known_of),)


def content_fingerprint(frames: FramesConfig, records: Iterable[tuple[SourceVideo, str]]) -> str:
    """A fingerprint of videos: the same wherever the same ones are prepared alike.

    Args:
        frames: How they are stored.
        records: The videos in the order of their records, each with what tells its content.
    """
    videos = (
        (
            *(video.name, video.row.label, video.row.group, video.row.split),
            *(content + video.table, *_marks(video.row)),
        )
        for video, content in records
    )
    return fingerprint(frames.as_json(), videos)


def fingerprint(*parts: object) -> str:
    """Returns a checksum of anything that JSON can hold, and of iterables of it."""
    checksum = hashlib.sha256(str(FORMAT).encode())
    for part in parts:
        # One by one: there may be a million.
        for item in part if isinstance(part, Iterable) and not isinstance(part, dict) else [part]:
            checksum.update(json.dumps(item).encode() + b"\n")
    return checksum.hexdigest()


def report_path(shard: Path) -> Path:
    """The file of the report on a shard."""
    return shard.parent / REPORTS / f"{shard.name}.json"


def plan_shards(
    sources: Sequence[SourceVideo],
    folder: Path,
    *,
    frames: FramesConfig,
    shard_videos: int,
    seed: int,
    min_frames: int = 1,
    tables: Tables | None = None,
    limits: Limits = NO_LIMITS,
) -> list[ShardTask]:
    """Deals the videos of each split, and those of none, out to shards.

    A hash of the seed and the path of its file decides on the shard of a video and on its place
    there. So shards mix the classes, and when videos are added or removed, the others stay where
    they are: the number of shards is a power of two, which seldom changes.

    Args:
        sources: The videos, in any order.
        folder: Where they are written.
        frames: Rate, size and quality of the frames.
        shard_videos: Videos in a shard, at most, in the mean.
        seed: Of the hash.
        min_frames: Stored frames of a video, at least.
        tables: Those of key points, where these are not looked for in the frames.
        limits: How large the frames of a file may be.
    """
    class_names = Manifest(rows=tuple(source.row for source in sources)).class_names
    tasks = []
    splits: tuple[Split | Literal[""], ...] = (*SPLITS, "")
    for split in splits:
        shards = _deal([s for s in sources if s.row.split == split], shard_videos, seed)
        tasks += [
            ShardTask(
                folder=str(folder),
                name=f"{NAME}-{split}.tfrecord-{index:05d}-of-{len(shards):05d}",
                split=split,
                sources=tuple(videos),
                class_names=class_names,
                frames=frames,
                min_frames=min_frames,
                tables=tables,
                limits=limits,
            )
            for index, videos in enumerate(shards)
        ]
    return tasks


def _deal(videos: list[SourceVideo], shard_videos: int, seed: int) -> list[list[SourceVideo]]:
    if not videos:
        return []
    shards: list[list[SourceVideo]] = [
        [] for _ in range(1 << (math.ceil(len(videos) / shard_videos) - 1).bit_length())
    ]
    hashes = {v.file: hashlib.sha256(f"{seed} {v.file}".encode()).digest() for v in videos}
    for video in sorted(videos, key=lambda v: (hashes[v.file], v.row.start_seconds, v.name)):
        shards[int.from_bytes(hashes[video.file][-8:]) % len(shards)].append(video)
    return shards


def finished_report(
    task: ShardTask, folder: Path | None = None, *, retry: bool = False
) -> ShardReport | None:
    """Returns the report on a shard that is complete; None if it is still to be written.

    Args:
        task: The shard.
        folder: Where to look; None: where the task writes it.
        retry: Whether a shard is to be written again that lacks a video for want of a worker.
    """
    shard = (folder or Path(task.folder)) / task.name
    try:
        report = read_report(report_path(shard))
        # The file of a shard without videos is removed where its whole split has none.
        num_bytes = shard.stat().st_size if report.num_bytes else 0
    except (OSError, ValueError):
        return None
    is_it = (report.fingerprint, report.num_bytes) == (task.fingerprint, num_bytes)
    again = retry and any(video.problem == "lost" for video in report.videos)
    return report if is_it and not again else None


def _video_report(content: dict[str, Any]) -> VideoReport:
    pieces = (Piece(frames, size, tuple(counts)) for frames, size, counts in content["pieces"])
    return VideoReport(**{**content, "pieces": tuple(pieces)})


def read_report(path: Path) -> ShardReport:
    """Reads the report on a shard.

    Raises:
        OSError: It is not there.
        ValueError: It is damaged.
    """
    content: Any = json.loads(path.read_bytes())
    try:
        videos = tuple(map(_video_report, content.pop("videos")))
        return ShardReport(**content, videos=videos)
    except (TypeError, LookupError, AttributeError):
        raise ValueError(f"{path}: not a report on a shard") from None
