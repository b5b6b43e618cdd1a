"""Stretches of recordings: which of their frames training and evaluation read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.config import RunConfig
from pipeline.dataset.sampling import grid_length, window_starts
from pipeline.frames.chunks import CHUNK_FRAMES
from pipeline.manifest.annotation import Labels
from pipeline.manifest.stored import Clip
from pipeline.prepare.prepared import PreparedDataset

Labeller = Callable[[int, int], Labels]
"""From the number of a first frame, and how many there are (N), to their labels, uint8 (N, C)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stretch:
    """Frames in a row of a recording, or a whole video.

    Attributes:
        clip: The recording, or the video.
        first: Number of the first in it, from 0.
        num_frames: How many.
    """

    clip: Clip
    first: int
    num_frames: int


def whole(clip: Clip) -> Stretch:
    """All frames of a video."""
    return Stretch(clip, 0, clip.num_frames)


def _cut(clip: Clip, first: int, end: int) -> Stretch:
    """Those from a frame up to another one, or to the end."""
    return Stretch(clip, first, min(end, clip.num_frames) - first)


def around_chunks(clips: Sequence[Clip], config: RunConfig) -> list[Stretch]:
    """A stretch for each chunk of recordings, from which training cuts a window at random.

    Any window of it has frames in the chunk, and any window that has is in it. So over many
    windows each frame is seen as often as any other, but those at both ends of a recording.
    """
    window, slowest = config.clip, 1 - config.augment.speed.strength
    reach = math.ceil(((window.num_frames - 1) * window.stride + 1) / slowest)
    return [
        _cut(clip, max(0, chunk.start - reach + 1), chunk.stop + reach - 1)
        for clip in clips
        for chunk in _chunks(clip)
    ]


def windows_of(clips: Sequence[Clip], config: RunConfig) -> list[Stretch]:
    """The windows that evaluation cuts of recordings, which overlap by half."""
    window = config.clip
    found = []
    for clip in clips:
        starts = window_starts(
            grid_length(clip.num_frames, window),
            window.num_frames,
            looks_back_only=config.temporal.looks_back_only,
        )
        ends = ((start + window.num_frames) * window.stride for start in starts)
        found += [
            _cut(clip, start * window.stride, end) for start, end in zip(starts, ends, strict=True)
        ]
    return found


def _chunks(clip: Clip) -> list[range]:
    """The frames of a recording in rows of `CHUNK_FRAMES`; the last one may have fewer."""
    starts = range(0, clip.num_frames, CHUNK_FRAMES)
    return [range(start, min(start + CHUNK_FRAMES, clip.num_frames)) for start in starts]


def recording_labels(store: PreparedDataset, clips: Sequence[Clip]) -> list[Labels]:
    """The labels of each of some recordings, uint8 (N, C)."""
    return [labels_of(clip, store)(0, clip.num_frames) for clip in clips]


def labels_of(clip: Clip, store: PreparedDataset) -> Labeller:
    """What labels frames in a row of a recording, see `Annotation.by_frame`."""
    if clip.row.annotation is None:
        raise TypeError(f"{clip.name}: expected a recording")
    by_frame = clip.row.annotation.by_frame(store.frames.fps, store.class_names)
    return lambda first, number: by_frame(clip.first_frame + first, number)


def class_frames(store: PreparedDataset, clips: Sequence[Clip]) -> npt.NDArray[np.int64]:
    """The frames at which each class holds in each chunk of recordings, int64 (chunks, C)."""
    counts = [
        (labels[chunk.start : chunk.stop] == 1).sum(axis=0)
        for clip, labels in zip(clips, recording_labels(store, clips), strict=True)
        for chunk in _chunks(clip)
    ]
    return np.array(counts, np.int64)
