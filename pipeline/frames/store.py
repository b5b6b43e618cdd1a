"""The folder in which the frames of videos are kept, by what they depend on and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.config import FramesConfig
from pipeline.frames.chunks import (
    CHUNK_FRAMES,
    NAME,
    ChunkIndex,
    Segment,
    index_file,
    read_index,
    segment_file,
)
from pipeline.manifest.annotation import merged

FRAMES: Final = "frames"
"""Folder of a data set for the frames of its videos."""

FORMAT: Final = 1
"""Version of what is stored; raise it when the same videos would give other bytes."""

Spans = Iterable[tuple[int, float]]
"""First frame, and frame after the last; an infinite one is the end of the file."""


def frames_key(digest: str, frames: FramesConfig, table: str = "") -> str:
    """What tells stored frames from others: the content of their file, and how they are stored.

    Args:
        digest: SHA-256 of the video file, hexadecimal.
        frames: Rate, size and quality, and what is stored beside them.
        table: SHA-256 of its table of key points; empty: there is none.
    """
    settings = json.dumps([FORMAT, frames.as_json(), table]).encode()
    return f"{digest[:24]}_{hashlib.sha256(settings).hexdigest()[:8]}"


def stored_index(folder: Path, key: str) -> ChunkIndex | None:
    """The index of a video without files that are gone or cut off; None: there is none."""
    index = read_index(folder, key)
    if index is None:
        return None
    whole = [
        each for each in index.segments if _is_whole(segment_file(folder, key, each.first), each)
    ]
    return index if len(whole) == len(index.segments) else _with_segments(index, whole)


def missing_chunks(index: ChunkIndex, spans: Spans) -> list[tuple[int, float]]:
    """The chunks that spans of frames touch and that are not there, as ranges of their numbers."""
    there, num_frames = index.chunks, index.known.get("stored_frames")
    last = math.inf if num_frames is None else math.ceil(num_frames / CHUNK_FRAMES)
    wanted = [
        (first // CHUNK_FRAMES, min(last, math.inf if end == math.inf else -(-end // CHUNK_FRAMES)))
        for first, end in spans
    ]
    found: list[tuple[int, float]] = []
    for start, high in merged(each for each in wanted if each[0] < each[1]):
        low = int(start)
        stored = sorted(number for number in there if low <= number < high)
        starts, ends = [low, *(number + 1 for number in stored)], [*stored, high]
        found += [gap for gap in zip(starts, ends, strict=True) if gap[0] < gap[1]]
    return found


def take_from(folder: Path, key: str, others: Sequence[str]) -> None:
    """Takes the frames of a video from another folder that has them, if this one has none.

    They take no room of their own, but on another disk.
    """
    if index_file(folder, key).exists():
        return
    for other in map(Path, others):
        index = stored_index(other, key)
        if index and index.segments:
            files = [segment_file(Path(), key, each.first) for each in index.segments]
            with contextlib.suppress(OSError):  # They are removed just now: then they are decoded.
                for name in [*files, index_file(Path(), key)]:
                    _link(other / name, folder / name)
                return


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # on another disk, or where there are no links
        temporary = target.with_name(f"{target.name}.tmp")
        shutil.copy2(source, temporary)
        temporary.replace(target)


def unneeded_files(folder: Path, needed: Collection[str]) -> Iterator[Path]:
    """The files of a folder of frames that are of no video with one of the keys."""
    with contextlib.suppress(FileNotFoundError):
        for file in folder.iterdir():
            # clipline-KEY.index, clipline-KEY_FIRST.tfrecord-...; what a kill left ends in .tmp
            kept = file.name.startswith(f"{NAME}-") and file.name.split("-", 1)[1][:33] in needed
            if (file.name.startswith(f"{NAME}-") and not kept) or file.suffix == ".tmp":
                yield file


def _is_whole(path: Path, segment: Segment) -> bool:
    with contextlib.suppress(OSError):
        return path.stat().st_size == segment.num_bytes
    return False


def _with_segments(index: ChunkIndex, kept: Sequence[Segment]) -> ChunkIndex:
    """An index with some of its files."""
    counts = [sum(number for _, number in each.chunks) for each in index.segments]
    flags = np.repeat([each in kept for each in index.segments], counts)
    return index._replace(segments=tuple(kept), entries=index.entries[flags])
