"""One video file decoded, in a worker process: the chunks of it that are not stored yet."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from pipeline.config import FramesConfig
from pipeline.errors import DataError, PipelineError, VideoDecodeError
from pipeline.frames.chunks import (
    CHUNK_FRAMES,
    ChunkIndex,
    Images,
    StoredVideo,
    add_segment,
    index_file,
    no_chunks,
    write_index,
)
from pipeline.frames.encoding import by_name, stored_frames
from pipeline.frames.hashing import file_digest, hash_positions, video_hash
from pipeline.frames.store import frames_key, missing_chunks, stored_index, take_from
from pipeline.key_points import Tables
from pipeline.manifest.annotation import frames_of
from pipeline.streams import IMAGES
from pipeline.streams.pose_points import highest_flags
from pipeline.video import (
    NO_LIMITS,
    DamagedVideoWarning,
    Limits,
    VideoReader,
    decode_grey_jpeg,
)
from pipeline.video.opening import expect_file
from pipeline.video.timing import count_ticks

OnVideo = Callable[[str], None]
Problem = Literal["", "missing", "unreadable", "too short", "lost"]
Span = tuple[float, float]

WHOLE_FILE: Span = (0.0, math.inf)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Stored frames of a part of a file, or of all of it.

    Attributes:
        first: Number of the first.
        num_frames: How many there are, 0: the file ends before.
        hash: What tells them from those of other videos by their looks; None: they look like
            nothing.
        pose_flag: How sure it is that there is someone, the mean over frames, 0 to 1; None: no key
            points are stored.
    """

    first: int
    num_frames: int
    hash: str | None = None
    pose_flag: float | None = None


NOTHING: Final = Look(first=0, num_frames=0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DecodeTask:
    """A video file, and which frames of it are needed.

    Attributes:
        path: The file.
        name: The same from the folder of all videos on, with forward slashes.
        folder: Where frames are kept.
        frames: Rate, size and quality of the frames, and what is stored beside them.
        spans: Start and end of each part that is needed, in seconds; the whole: `WHOLE_FILE`.
        digest: SHA-256 of the file, where it is known.
        looks: What is known of parts already.
        table: SHA-256 of its table of key points.
        tables: Those of key points, where these are not looked for in the frames.
        others: Folders that may hold its frames already.
        limits: How large its frames may be.
        lost: Why it is not read, where it cost a worker process its life.
    """

    path: str
    name: str
    folder: str
    frames: FramesConfig
    spans: tuple[Span, ...] = (WHOLE_FILE,)
    digest: str = ""
    looks: dict[Span, Look] = dataclasses.field(default_factory=dict)
    table: str = ""
    tables: Tables | None = None
    others: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    lost: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FileReport:
    """What is known of a video file and of its frames.

    Attributes:
        key: Of its frames, see `pipeline.frames.store.frames_key`; empty: it cannot be read.
        digest: SHA-256 of the file, hexadecimal.
        problem: Why there are none, in a word; empty: there are.
        reason: The same in full.
        declared_frames: What the container claims; None: it claims nothing.
        num_frames: What decodes; None: it was not read to its end.
        stored_frames: Frames at the rate that is stored; None: it was not read to its end.
        missing_frames: Frames that are declared and for whose time there are none.
        damage: What is wrong with it; empty: nothing.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Frames per second of the file.
        duration_seconds: Of the file: declared, or, once it was read to its end, decoded.
        codec: FourCC.
        index_bytes: Size of its index.
        segments: Its files of chunks: of each the first chunk, the bytes, and how many chunks.
        looks: By the start and the end of each part that was asked for, in seconds.
        num_decoded: Frames that were stored just now, none of them before.
    """

    key: str = ""
    digest: str = ""
    problem: Problem = ""
    reason: str = ""
    declared_frames: int | None = None
    num_frames: int | None = None
    stored_frames: int | None = None
    missing_frames: int = 0
    damage: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration_seconds: float = 0.0
    codec: str = ""
    index_bytes: int = 0
    segments: tuple[tuple[int, int, int], ...] = ()
    looks: dict[Span, Look] = dataclasses.field(default_factory=dict)
    num_decoded: int = 0


_KNOWN = (
    *("declared_frames", "num_frames", "stored_frames", "missing_frames", "damage"),
    *("width", "height", "fps", "duration_seconds", "codec"),
)
"""What the index of a video says of it."""


def decode_file(task: DecodeTask, on_video: OnVideo | None = None) -> FileReport:
    """Decodes what is needed of a file and not there, in one pass; calls `on_video` as it goes.

    Raises:
        OSError: The frames cannot be written.
    """
    tell = on_video or (lambda _: None)
    tell(task.name)
    if task.lost:
        return FileReport(problem="lost", reason=task.lost)
    try:
        return _decode(task, lambda: tell(task.name))
    except VideoDecodeError as error:
        missing = not Path(task.path).exists()
        hint = " Write its path with forward slashes." if missing and "\\" in task.name else ""
        problem: Problem = "missing" if missing else "unreadable"
        return FileReport(problem=problem, reason=error.reason + hint)


def _decode(task: DecodeTask, on_chunk: Callable[[], object]) -> FileReport:
    with _errors_of(task.path):
        expect_file(task.path)
        digest = task.digest or file_digest(task.path)
    folder, key = Path(task.folder), frames_key(digest, task.frames, task.table)
    take_from(folder, key, task.others)
    index = stored_index(folder, key) or no_chunks(key, task.frames.images)
    try:
        return _stored(task, digest, index, on_chunk)
    except DataError:  # A chunk that is there is damaged.
        return _stored(task, digest, no_chunks(key, task.frames.images), on_chunk)


def _stored(
    task: DecodeTask, digest: str, index: ChunkIndex, on_chunk: Callable[[], object]
) -> FileReport:
    """The report on a file, of which what is missing is decoded."""
    there, folder = sum(index.chunks.values()), Path(task.folder)
    spans = {span: span_of_frames(span, task.frames.fps) for span in task.spans}
    if missing := missing_chunks(index, spans.values()):
        index = _with_chunks(task, index, missing, on_chunk)
        write_index(folder, index)
    video = StoredVideo(folder, index.key)
    looks = {
        span: task.looks.get(span)
        or _look(video, first, end, index.known["stored_frames"], task.frames)
        for span, (first, end) in spans.items()
    }
    return FileReport(
        key=index.key,
        digest=digest,
        index_bytes=index_file(folder, index.key).stat().st_size,
        segments=tuple((e.first, e.num_bytes, len(e.chunks)) for e in index.segments),
        looks=looks,
        num_decoded=sum(index.chunks.values()) - there,
        **{name: index.known[name] for name in _KNOWN},
    )


def span_of_frames(span: Span, fps: float) -> tuple[int, float]:
    """First frame of a part of a file, and the frame after its last, at the stored rate.

    They are those that an event of the same time labels, see `Annotation.by_frame`.
    """
    start, end = span
    if end < math.inf:
        return frames_of(start, end, fps)
    first, _ = frames_of(start, start + 1 / fps, fps)
    return first, math.inf


def _with_chunks(
    task: DecodeTask,
    index: ChunkIndex,
    missing: Sequence[tuple[int, float]],
    on_chunk: Callable[[], object],
) -> ChunkIndex:
    """The index with the missing chunks, which are decoded, of a file that is read once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # It is in the report.
        with _errors_of(task.path):
            reader = VideoReader(task.path, task.limits)
        with contextlib.closing(reader):
            name, fps = Path(task.path).name, float(reader.info.fps)
            others: dict[str, str | float] = {"video": index.key, "file": name, "fps": fps}
            chunks = _chunks(task, reader, missing, on_chunk)
            index = add_segment(Path(task.folder), index, chunks, others)
            known = _known(reader, task.frames.fps)
    was_read = index.known.get("num_frames") is not None and known["num_frames"] is None
    return index if was_read else index._replace(known=known)


def _chunks(
    task: DecodeTask,
    reader: VideoReader,
    missing: Sequence[tuple[int, float]],
    on_chunk: Callable[[], object],
) -> Iterator[tuple[int, Images]]:
    """The missing chunks, in order, each with its number."""
    # Of motion the frame before a chunk is needed, too.
    before = any(IMAGES[name].is_motion for name in task.frames.images)
    ticks = [(max(0, first * CHUNK_FRAMES - before), end * CHUNK_FRAMES) for first, end in missing]
    numbers = itertools.chain.from_iterable(
        itertools.count(first) if end == math.inf else range(first, int(end))
        for first, end in ticks
    )
    stored = zip(numbers, _read(task, reader, ticks), strict=False)
    for number, frames in itertools.groupby(stored, key=lambda pair: pair[0] // CHUNK_FRAMES):
        if any(first <= number < end for first, end in missing):
            on_chunk()
            yield number, by_name((each for _, each in frames), task.frames)


def _read(
    task: DecodeTask, reader: VideoReader, ticks: Iterable[tuple[int, float]]
) -> Iterator[dict[str, bytes]]:
    with _errors_of(task.path):
        yield from stored_frames(reader, task.frames, ticks=ticks, tables=task.tables)


def _known(reader: VideoReader, fps: float) -> dict[str, Any]:
    info = reader.info
    at_end = info.num_frames is not None
    stored = count_ticks(info.duration_seconds, fps=fps, frame_seconds=1 / info.fps)
    others = {"stored_frames": stored if at_end else None, "missing_frames": info.missing_frames}
    return {name: others.get(name, getattr(info, name, None)) for name in _KNOWN}


def _look(
    video: StoredVideo, first: int, end: float, in_all: int | None, frames: FramesConfig
) -> Look:
    last = end if in_all is None else min(end, in_all)
    number = max(0, int(last) - first)
    if not number:
        return Look(first=first, num_frames=0)
    shown = (first + hash_positions(number)).tolist()
    (images,) = video.read(shown, ["frames"])
    flag = None
    if "pose" in frames.images:
        (points,) = video.read(range(first, first + number), ["pose"])
        flag = round(float(np.mean(highest_flags(points, frames))), 4)
    look = video_hash(list(map(decode_grey_jpeg, images)))
    return Look(first=first, num_frames=number, hash=look, pose_flag=flag)


@contextlib.contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Whatever goes wrong here is the fault of a file, and costs that file alone."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # whatever a decoder thinks of
        raise VideoDecodeError.of(path, error) from error
