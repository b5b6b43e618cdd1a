"""An index of the videos of a prepared data set, so that any can be read by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import DataError
from pipeline.manifest.rows import SPLITS, Row
from pipeline.prepare.plan import NAME, Piece, read_report, report_path
from pipeline.prepare.shard_file import FRAME_BYTES, ShardFile
from pipeline.text import command

AGAIN = f"Run the same {command('prepare')} command again."


class Place(NamedTuple):
    """Place of a video in its shard.

    Attributes:
        name: As in `SourceVideo`.
        shard: The file.
        start: Bytes before its record.
        num_frames: Stored frames.
        pieces: Of a recording, its records, which follow one another.
    """

    name: str
    shard: ShardFile
    start: int
    num_frames: int
    pieces: tuple[Piece, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A video and its place.

    Attributes:
        row: Its row in the manifest.
    """

    row: Row
    name: str
    shard: ShardFile
    start: int
    num_frames: int
    pieces: tuple[Piece, ...] = ()


def find_places(shards: Sequence[Path]) -> tuple[Place, ...]:
    """Opens shards, and finds the videos in them by the reports on them; no record is read.

    Args:
        shards: The files, in any order.

    Returns:
        The places, in the order of the splits that they were prepared with and of the files.

    Raises:
        DataError: A shard cannot be opened, or the report on one is missing or damaged.
    """
    return tuple(
        place
        for split in SPLITS
        for shard in sorted(shards)
        if shard.name.startswith(f"{NAME}-{split}.")
        for place in _of_shard(shard)
    )


def join_rows(places: Sequence[Place], rows: Sequence[Row]) -> tuple[Record, ...]:
    """The videos at their places, in the same order.

    Args:
        places: What `find_places` gave.
        rows: All videos that are in the shards, in the order of their names, as in the manifest.
    """
    # Names can be the same, as of a file with two labels: a manifest has those in this order, too.
    by_name = sorted(range(len(places)), key=lambda number: places[number].name)
    row_of = dict(zip(by_name, rows, strict=True))
    return tuple(Record(row_of[number], *place) for number, place in enumerate(places))


def _of_shard(path: Path) -> Iterator[Place]:
    try:
        shard, start = ShardFile(path), 0
        for video in read_report(report_path(path)).videos:
            if not video.problem:
                yield Place(video.name, shard, start, video.stored_frames, video.pieces)
                start += video.record_bytes + FRAME_BYTES * max(1, len(video.pieces))
    except (OSError, ValueError):
        raise DataError(f"{report_path(path)}: missing or damaged. {AGAIN}") from None
