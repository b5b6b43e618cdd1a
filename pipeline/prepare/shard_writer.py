"""Writing one shard: videos are decoded, made small and stored, or reported with the reason."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipeline.atomic import atomic_write
from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.manifest.annotation import Annotation
from pipeline.manifest.rows import Row
from pipeline.prepare.duplicates import file_digest, hash_positions, video_hash
from pipeline.prepare.pieces import write_pieces
from pipeline.prepare.plan import (
    Problem,
    ShardReport,
    ShardTask,
    SourceVideo,
    VideoReport,
    finished_report,
)
from pipeline.prepare.record import MAX_BYTES, write_record
from pipeline.prepare.stored_frames import FrameSpool, stored_frames
from pipeline.streams.pose_points import highest_flags
from pipeline.video import DamagedVideoWarning, Limits, VideoInfo, VideoReader, decode_jpeg

OnVideo = Callable[[str], None]

_MOST_READERS = 8
"""Of one file, for parts that overlap: each holds the pictures that its decoder refers to."""


def write_shard(task: ShardTask, on_video: OnVideo | None = None) -> ShardReport:
    """Writes a shard and its report, unless they are there already; calls `on_video` as it goes.

    Raises:
        OSError: The shard cannot be written.
    """
    finished = finished_report(task)
    if finished:
        return finished
    task.report_path.unlink(missing_ok=True)  # It may tell of an older shard of this name.
    with atomic_write(task.path) as file:
        report = _read_shard(task, file, on_video)
    with atomic_write(task.report_path) as file:
        videos = list(map(_fields, report.videos))
        file.write(json.dumps({**_fields(report), "videos": videos}, indent=1).encode())
    return report


def _fields(report: ShardReport | VideoReport) -> dict[str, Any]:
    """A report by names, without a copy of what is in it, which may be long."""
    return {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}


def check_shard(task: ShardTask, on_video: OnVideo | None = None) -> ShardReport:
    """Reads the videos of a shard as `write_shard` does, and writes nothing."""
    return _read_shard(task, None, on_video)


def _read_shard(task: ShardTask, file: BinaryIO | None, on_video: OnVideo | None) -> ShardReport:
    reports = tuple(_read_videos(task, file, on_video))
    return ShardReport(
        fingerprint=task.fingerprint,
        num_records=sum(max(1, len(each.pieces)) for each in reports if not each.problem),
        num_bytes=file.tell() if file else 0,
        record_bytes=sum(report.record_bytes for report in reports),
        videos=reports,
    )


def _read_videos(
    task: ShardTask, file: BinaryIO | None, on_video: OnVideo | None
) -> Iterator[VideoReport]:
    """Reads and stores all videos; yields the report on each."""
    skip = dict(task.skip)
    for _, group in itertools.groupby(task.sources, key=lambda source: source.file):
        sources = list(group)
        with _OpenFile(sources[0].row.path, task.limits) as opened:
            for source in sources:
                if on_video:
                    on_video(source.name)
                if source.name in skip:
                    yield _left_out(source, "lost", skip[source.name])
                    continue
                try:
                    if annotation := source.row.annotation:
                        yield _read_recording(source, annotation, opened, task, file, on_video)
                    else:
                        yield _read(source, opened, task, file)
                except VideoDecodeError as error:
                    missing = not Path(source.row.path).exists()
                    problem: Problem = "missing" if missing else "unreadable"
                    hint = " Write its path with forward slashes." if "\\" in source.file else ""
                    opened.close()  # After an error, the next part is read from the start.
                    yield _left_out(source, problem, error.reason + missing * hint)


class _OpenFile:
    """The file that is being read: its parts in one pass, those that overlap side by side."""

    def __init__(self, path: str, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._readers: list[VideoReader] = []

    @functools.cached_property
    def digest(self) -> str:
        with _errors_of(self._path):
            return file_digest(self._path)

    def __enter__(self) -> _OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers.clear()

    def reader(self, source: SourceVideo) -> VideoReader:
        """The one that is nearest before a part of the file; the latest is the last."""
        start = source.row.start_seconds
        for at_its_end in [each for each in self._readers if each.read_until == math.inf]:
            at_its_end.close()
            self._readers.remove(at_its_end)
        free = [each for each in self._readers if each.read_until <= start]
        if free:
            nearest = max(free, key=lambda each: each.read_until)
            self._readers.remove(nearest)
        else:
            with _errors_of(self._path):
                nearest = VideoReader(self._path, self._limits)
        self._readers.append(nearest)
        if len(self._readers) > _MOST_READERS:
            self._readers.pop(0).close()
        return nearest

    def stored(self, reader: VideoReader, row: Row, task: ShardTask) -> Iterator[dict[str, bytes]]:
        """What is stored of each frame of a video that one of the readers reads."""
        part = {"start_seconds": row.start_seconds, "end_seconds": row.end_seconds}
        with _errors_of(self._path):
            yield from stored_frames(reader, task.frames, tables=task.tables, **part)


@contextlib.contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Whatever goes wrong here is the fault of a file, and costs that file alone."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # whatever a decoder thinks of
        raise VideoDecodeError.of(path, error) from error


def _report(source: SourceVideo) -> VideoReport:
    return VideoReport(name=source.name, num_bytes=source.num_bytes, modified_ns=source.modified_ns)


def _left_out(source: SourceVideo, problem: Problem, reason: str) -> VideoReport:
    return dataclasses.replace(_report(source), problem=problem, reason=reason)


def _read(
    source: SourceVideo, opened: _OpenFile, task: ShardTask, file: BinaryIO | None
) -> VideoReport:
    row, reader = source.row, opened.reader(source)
    folder = Path(task.folder) if file else Path(task.folder).parent
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # It is in the report.
        images = {name: stack.enter_context(FrameSpool(folder)) for name in task.frames.images}
        for stored in opened.stored(reader, row, task):
            for name, image in stored.items():
                images[name].append(image)
            if sum(spool.num_bytes for spool in images.values()) > MAX_BYTES:
                reason = "its frames take more than 2 GiB: cut the video, or lower --fps or --size."
                return _left_out(source, "too large", reason)
        number = len(images["frames"])
        if number < task.min_frames:
            return _left_out(source, "too short", _too_short(source, reader, task))
        shown = [images["frames"][position] for position in hash_positions(number)]
        report = _describe(source, reader, opened.digest, number, shown)
        if "pose" in images:
            flag = round(float(np.mean(highest_flags(images["pose"], task.frames))), 4)
            report = dataclasses.replace(report, pose_flag=flag)
        if not file:
            return report
        others: dict[str, float | str | bytes] = {
            **_labels(row, task.class_names),
            "video": source.name,
            "group": row.group,
            "num_frames": report.decoded_frames,
            "fps": float(report.fps),
            "duration_seconds": float(report.duration_seconds),
        }
        num_bytes = write_record(file, images, others)
    return dataclasses.replace(report, record_bytes=num_bytes)


def _labels(row: Row, class_names: Sequence[str]) -> dict[str, int | bytes]:
    if row.several is None:
        return {"label": class_names.index(row.label)}
    return {"labels": bytes(name in row.several for name in class_names)}


def _read_recording(
    source: SourceVideo,
    annotation: Annotation,
    opened: _OpenFile,
    task: ShardTask,
    file: BinaryIO | None,
    on_video: OnVideo | None,
) -> VideoReport:
    reader, frames = opened.reader(source), task.frames
    with contextlib.ExitStack() as undo, warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # It is in the report.
        if file:
            undo.callback(_cut_off, file, file.tell())
        found = write_pieces(
            file,
            opened.stored(reader, source.row, task),
            frames,
            annotation.by_frame(frames.fps, task.class_names),
            {"video": source.name, "group": source.row.group, "fps": float(reader.info.fps)},
            # The time that a video may take is that of a piece.
            on_piece=lambda: on_video(source.name) if on_video else None,
        )
        if found.num_frames < task.min_frames:
            return _left_out(source, "too short", _too_short(source, reader, task))
        report = _describe(source, reader, opened.digest, found.num_frames, found.shown())
        undo.pop_all()
    pieces = tuple(found.pieces)
    return dataclasses.replace(
        report, record_bytes=found.num_bytes, pieces=pieces, pose_flag=found.pose_flag
    )


def _cut_off(file: BinaryIO, num_bytes: int) -> None:
    """Takes away what was written beyond."""
    file.truncate(num_bytes)
    file.seek(num_bytes)


def _too_short(source: SourceVideo, reader: VideoReader, task: ShardTask) -> str:
    if source.row.is_trim and not reader.num_read:
        seconds = reader.info.duration_seconds
        return f"the file has no frame there: it ends at {seconds:.2f} seconds."
    return (
        f"its {reader.num_read} frames give fewer than {task.min_frames} at "
        f"{task.frames.fps:g} per second."
    )


def _describe(
    source: SourceVideo, reader: VideoReader, digest: str, number: int, shown: Sequence[bytes]
) -> VideoReport:
    """The report on a video of so many stored frames, of which those at `hash_positions` came."""
    info, is_trim = reader.info, source.row.is_trim
    declared = _asked_frames(source.row, info) if is_trim else info.declared_frames
    return dataclasses.replace(
        _report(source),
        declared_frames=declared,
        decoded_frames=reader.num_read,
        missing_frames=0 if is_trim else info.missing_frames,
        stored_frames=number,
        damaged=info.damaged or (is_trim and declared is not None),
        damage=info.damage,
        width=info.width,
        height=info.height,
        fps=info.fps,
        duration_seconds=reader.num_read / info.fps if is_trim else info.duration_seconds,
        codec=info.codec,
        digest=digest,
        hash=video_hash(list(map(decode_jpeg, shown))),
    )


def _asked_frames(row: Row, info: VideoInfo) -> int | None:
    """Frames of a part that ends after its file does; None: it does not, for all that was read."""
    is_read_to_its_end = info.num_frames is not None
    beyond = row.end_seconds - info.duration_seconds
    if not is_read_to_its_end or not 1.5 / info.fps < beyond < math.inf:
        return None
    return round((row.end_seconds - row.start_seconds) * info.fps)
