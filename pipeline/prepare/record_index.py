"""An index of the videos of a prepared data set, so that any can be read by itself."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import DataError
from pipeline.manifest.rows import SPLITS, Row
from pipeline.prepare.plan import NAME, REPORTS, Piece, read_report, report_path
from pipeline.text import command

FRAME_BYTES = 16
"""Of the length and the two checksums around a record, see `pipeline.prepare.record`."""

AGAIN = f"Run the same {command('prepare')} command again."


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """Place of a video in its shard.

    Attributes:
        row: Its row in the manifest.
        name: As in `SourceVideo`.
        shard: The file.
        start: Bytes before its record.
        pieces: Of a recording, its records, which follow one another.
    """

    row: Row
    name: str
    shard: Path
    start: int
    pieces: tuple[Piece, ...] = ()

    @property
    def num_frames(self) -> int:
        """Stored frames of a recording."""
        return sum(piece.num_frames for piece in self.pieces)


def find_records(shards: Sequence[Path], rows: Sequence[Row]) -> tuple[Record, ...]:
    """Finds the videos in their shards by the reports on them; no record is read.

    Args:
        shards: The files, in any order.
        rows: All videos that are in them, in the order of their names, as in the manifest.

    Returns:
        The records, in the order of the splits that they were prepared with and of the files.

    Raises:
        DataError: The report on a shard is missing or damaged.
    """
    places = [
        (name, shard, start, pieces)
        for split in SPLITS
        for shard in sorted(shards)
        if shard.name.startswith(f"{NAME}-{split}.")
        for name, start, pieces in _of_shard(shard)
    ]
    if len(places) != len(rows):
        raise DataError(f"{shards[0].parent / REPORTS}: not of these shards. {AGAIN}")
    # Names can be the same, as of a file with two labels: a manifest has those in this order, too.
    by_name = sorted(range(len(places)), key=lambda place: places[place][0])
    row_of = dict(zip(by_name, rows, strict=True))
    return tuple(Record(row_of[place], *found) for place, found in enumerate(places))


def _of_shard(shard: Path) -> list[tuple[str, int, tuple[Piece, ...]]]:
    """Names of the videos in a shard, where their records start, and pieces of recordings."""
    found, start = [], 0
    try:
        videos = read_report(report_path(shard)).videos
        with shard.open("rb") as file:
            for video in videos:
                if not video.problem:
                    found.append((video.name, start, video.pieces))
                    # Reports of earlier versions do not say how long it is.
                    num_bytes = video.record_bytes or _length(file, start)
                    start += num_bytes + FRAME_BYTES * max(1, len(video.pieces))
    except (OSError, ValueError):
        raise DataError(f"{report_path(shard)}: missing or damaged. {AGAIN}") from None
    return found


def _length(file: BinaryIO, start: int) -> int:
    """Bytes of the record there, as it says itself."""
    file.seek(start)
    (num_bytes,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    return int(num_bytes)
