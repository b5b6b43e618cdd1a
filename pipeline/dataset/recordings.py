"""Stretches of recordings: which frames of which records training and evaluation read."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.dataset.windows import grid_length, window_starts
from pipeline.prepare.record_index import Record
from pipeline.prepare.shard_file import FRAME_BYTES


@dataclasses.dataclass(frozen=True, slots=True)
class Stretch:
    """Frames in a row of a recording, or a whole video.

    Attributes:
        record: The recording, or the video.
        start: Bytes before the first record that holds some of them.
        num_records: Records that do, which follow one another.
        skip: Frames of these before the first.
        num_frames: How many; None: all.
        first: Number of the first in the recording.
    """

    record: Record
    start: int
    num_records: int = 1
    skip: int = 0
    num_frames: int | None = None
    first: int = 0


def whole(record: Record) -> Stretch:
    """All frames of a video."""
    return Stretch(record, record.start)


def around_pieces(records: Sequence[Record], config: RunConfig) -> list[Stretch]:
    """A stretch for each record of recordings, from which training cuts a window at random.

    Any window of it has frames in the record, and any window that has is in it. So over many
    windows each frame is seen as often as any other, but those at both ends of a recording.
    """
    clip, slowest = config.clip, 1 - config.augment.speed.strength
    reach = math.ceil(((clip.num_frames - 1) * clip.stride + 1) / slowest)
    found = []
    for record in records:
        cut, end = cutter(record), 0
        for piece in record.pieces:
            start, end = end, end + piece.num_frames
            found.append(cut(max(0, start - reach + 1), end + reach - 1))
    return found


def windows_of(records: Sequence[Record], config: RunConfig) -> list[Stretch]:
    """The windows that evaluation cuts of recordings, which overlap by half."""
    clip = config.clip
    found = []
    for record in records:
        cut = cutter(record)
        starts = window_starts(
            grid_length(record.num_frames, clip),
            clip.num_frames,
            looks_back_only=config.temporal.looks_back_only,
        )
        ends = ((start + clip.num_frames) * clip.stride for start in starts)
        found += [cut(start * clip.stride, end) for start, end in zip(starts, ends, strict=True)]
    return found


def cutter(record: Record) -> Callable[[int, int], Stretch]:
    """A function that cuts a recording: from the number of a frame to another one, or to its end.

    What it needs to know of all records is reckoned once, since of ten hours there are thousands.
    """
    ends = list(itertools.accumulate(piece.num_frames for piece in record.pieces))
    lengths = (piece.num_bytes + FRAME_BYTES for piece in record.pieces)
    places = list(itertools.accumulate(lengths, initial=record.start))

    def cut(first: int, end: int) -> Stretch:
        end = min(end, ends[-1])
        low, high = bisect.bisect_right(ends, first), bisect.bisect_left(ends, end)
        return Stretch(
            record=record,
            start=places[low],
            num_records=high - low + 1,
            skip=first - (ends[low - 1] if low else 0),
            num_frames=end - first,
            first=first,
        )

    return cut


def class_frames(records: Sequence[Record]) -> npt.NDArray[np.int64]:
    """The frames at which each class holds in each record of recordings, int64 (records, C)."""
    return np.array([piece.counts for record in records for piece in record.pieces], np.int64)
