"""What there is to prepare: the videos, their files, and what is known of these already."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.config import FramesConfig
from pipeline.frames.chunks import index_file, segment_file
from pipeline.frames.decoding import (
    NOTHING,
    WHOLE_FILE,
    DecodeTask,
    FileReport,
    Look,
    Problem,
    Span,
)
from pipeline.frames.store import frames_key
from pipeline.key_points import Tables
from pipeline.manifest.rows import Row
from pipeline.video import NO_LIMITS, Limits

FORMAT = 6
"""Version of what describes a data set; raise it where an older one cannot be read any more."""

FILES = "files.jsonl"
"""What a data set knows of the files of its videos, a line each."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SourceVideo:
    """A video that goes into a data set.

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

    @property
    def span(self) -> Span:
        """Where it lies in its file."""
        return self.row.start_seconds, self.row.end_seconds


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KnownFile:
    """A file as it was when it was last read, and what was then found out about it."""

    num_bytes: int
    modified_ns: int
    table: str
    report: FileReport

    def is_of(self, source: SourceVideo) -> bool:
        """Whether the file of a video is still the same."""
        now = source.num_bytes, source.modified_ns, source.table
        return now == (self.num_bytes, self.modified_ns, self.table)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A video, and what is known of it once its file was decoded.

    Attributes:
        source: The video.
        file: The report on its file.
        look: Its stored frames; of one that is left out, none.
        problem: Why it is left out, in a word; empty: it is not.
        reason: The same in full.
        declared_frames: What the container claims that its file holds; None: it claims nothing.
        decoded_frames: What decodes of the video.
        missing_frames: Frames that are declared and for whose time there are none.
        damaged: Whether something is wrong with the file, or it ends before the part that is asked.
        duration_seconds: Of the video.
    """

    source: SourceVideo
    file: FileReport
    look: Look = NOTHING
    problem: Problem = ""
    reason: str = ""
    declared_frames: int | None = None
    decoded_frames: int = 0
    missing_frames: int = 0
    damaged: bool = False
    duration_seconds: float = 0.0

    @property
    def name(self) -> str:
        """See `SourceVideo`."""
        return self.source.name

    @property
    def row(self) -> Row:
        """Its row in the manifest."""
        return self.source.row


def fingerprint(*parts: object) -> str:
    """Returns a checksum of anything that JSON can hold, and of iterables of it."""
    checksum = hashlib.sha256(str(FORMAT).encode())
    for part in parts:
        # One by one: there may be a million.
        for item in part if isinstance(part, Iterable) and not isinstance(part, dict) else [part]:
            checksum.update(json.dumps(item).encode() + b"\n")
    return checksum.hexdigest()


def identity(source: SourceVideo) -> tuple[object, ...]:
    """A key of a video and its place in the data set, on this machine."""
    row, file = source.row, (source.num_bytes, source.modified_ns, source.table)
    return source.name, row.label, row.group, row.split, *file, *marks(row)


def marks(row: Row) -> tuple[object, ...]:
    """What a person marked in a recording, as JSON types."""
    said = row.annotation
    if not said:
        return ()
    return ((said.events, said.known, said.background, said.subject, said.known_of),)


def plan_files(
    sources: Sequence[SourceVideo],
    known: Mapping[str, KnownFile],
    folder: Path,
    *,
    frames: FramesConfig,
    tables: Tables | None = None,
    others: Sequence[str] = (),
    limits: Limits = NO_LIMITS,
) -> tuple[dict[str, FileReport], list[DecodeTask]]:
    """What is known of the files of some videos, and what is to be found out, a task a file.

    Args:
        sources: The videos, in any order.
        known: The files that were read before, by their names.
        folder: Where frames are kept.
        frames: Rate, size and quality of the frames, and what is stored beside them.
        tables: Those of key points, where these are not looked for in the frames.
        others: Folders that may hold frames already.
        limits: How large the frames of a file may be.
    """
    firsts, more = dict[str, SourceVideo](), dict[str, list[Span]]()  # There may be a million.
    for source in sources:
        if firsts.setdefault(source.file, source) is not source:
            more.setdefault(source.file, []).append(source.span)
    reports, tasks = dict[str, FileReport](), list[DecodeTask]()
    same: dict[str, Any] = {
        "folder": str(folder),
        "frames": frames,
        "tables": tables,
        "limits": limits,
    }
    nothing, whole, others = FileReport(), (WHOLE_FILE,), tuple(others)
    for name, first in firsts.items():
        is_whole = first.span == WHOLE_FILE and name not in more
        spans = whole if is_whole else tuple(dict.fromkeys((first.span, *more.get(name, ()))))
        before = known.get(name)
        report = before.report if before and before.is_of(first) else nothing
        key = frames_key(report.digest, frames, first.table) if report.digest else ""
        if key and _is_enough(report, spans, folder, key):
            reports[name] = report
            continue
        task = DecodeTask(
            path=first.row.path,
            name=name,
            spans=spans,
            digest=report.digest,
            looks=report.looks if key and report.key == key else nothing.looks,
            table=first.table,
            others=others,
            **same,
        )
        tasks.append(task)
    return reports, tasks


def _is_enough(report: FileReport, spans: Iterable[Span], folder: Path, key: str) -> bool:
    """Whether a report says all that is asked, and the frames that it tells of are there."""
    if report.problem:  # It may have been mended, or allowed, meanwhile.
        return False
    return report.key == key and report.looks.keys() >= set(spans) and not lost_file(report, folder)


def lost_file(report: FileReport, folder: Path) -> Path | None:
    """A file of the frames of a video that is missing or cut off."""
    for file, num_bytes in files_of(report, folder):
        if not file.is_file() or file.stat().st_size != num_bytes:
            return file
    return None


def files_of(report: FileReport, folder: Path) -> Iterator[tuple[Path, int]]:
    """The files of the frames of a video, and their sizes in bytes."""
    yield index_file(folder, report.key), report.index_bytes
    for first, num_bytes, _ in report.segments:
        yield segment_file(folder, report.key, first), num_bytes


def video_of(source: SourceVideo, file: FileReport, *, fps: float, min_frames: int) -> Video:
    """What is known of a video by the report on its file.

    Args:
        source: The video.
        file: Its file.
        fps: Frames per second that are stored.
        min_frames: Stored frames of a video, at least.
    """
    if file.problem:
        return Video(source=source, file=file, problem=file.problem, reason=file.reason)
    look, is_trim = file.looks[source.span], source.row.is_trim
    seconds, decoded = file.duration_seconds, file.num_frames or 0
    if is_trim:
        seconds = max(0.0, min(source.row.end_seconds, seconds) - source.row.start_seconds)
        decoded = round(seconds * file.fps)
    if look.num_frames < min_frames:
        reason = f"its {decoded} frames give fewer than {min_frames} at {fps:g} per second."
        if is_trim and not look.num_frames:
            reason = f"the file has no frame there: it ends at {file.duration_seconds:.2f} seconds."
        return Video(source=source, file=file, problem="too short", reason=reason)
    asked = _asked_frames(source.row, file) if is_trim else file.declared_frames
    return Video(
        source=source,
        file=file,
        look=look,
        declared_frames=asked,
        decoded_frames=decoded,
        missing_frames=0 if is_trim else file.missing_frames,
        damaged=bool(file.damage) or (is_trim and asked is not None),
        duration_seconds=seconds,
    )


def _asked_frames(row: Row, file: FileReport) -> int | None:
    """Frames of a part that ends after its file does; None: it does not, for all that was read."""
    beyond = row.end_seconds - file.duration_seconds
    if file.num_frames is None or not 1.5 / file.fps < beyond < math.inf:
        return None
    return round((row.end_seconds - row.start_seconds) * file.fps)


def write_files(
    path: Path, sources: Iterable[SourceVideo], reports: Mapping[str, FileReport]
) -> None:
    """Writes what is known of the files of videos."""
    files = {source.file: source for source in sources}
    with atomic_write(path) as file:
        for name, source in files.items():
            about = {"num_bytes": source.num_bytes, "modified_ns": source.modified_ns}
            line = {"file": name, **about, "table": source.table, **as_json(reports[name])}
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def read_files(path: Path) -> dict[str, KnownFile]:
    """What `write_files` wrote, by the names of the files; empty where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            return dict(_known_file(json.loads(line)) for line in file)
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _known_file(line: dict[str, Any]) -> tuple[str, KnownFile]:
    name, num_bytes, modified_ns, table = (
        line.pop(each) for each in ("file", "num_bytes", "modified_ns", "table")
    )
    report = from_json(line)
    return name, KnownFile(num_bytes=num_bytes, modified_ns=modified_ns, table=table, report=report)


def as_json(report: FileReport) -> dict[str, Any]:
    """A report as JSON types; what holds for this time alone is left out."""
    content = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    del content["num_decoded"]
    content["looks"] = [
        (start, None if end == math.inf else end, *dataclasses.astuple(look))
        for (start, end), look in report.looks.items()
    ]
    return content


def from_json(content: dict[str, Any]) -> FileReport:
    """A report of `as_json`."""
    looks = {
        (start, math.inf if end is None else end): Look(
            first=first, num_frames=number, hash=digits, pose_flag=flag
        )
        for start, end, first, number, digits, flag in content.pop("looks")
    }
    segments = tuple(map(tuple, content.pop("segments")))
    return FileReport(**content, looks=looks, segments=segments)
