"""From the stored images of a video to the logits of its clips: what all of inference shares."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.config import ClipConfig, FramesConfig
from pipeline.dataset.sampling import sample_clip
from pipeline.errors import DataError
from pipeline.frames.encoding import FrameSpool, stored_in_sizes
from pipeline.inference.bundle import Bundle
from pipeline.inference.runtime import Arrays, Logits, Runtime
from pipeline.key_points import Tables
from pipeline.streams import IMAGES
from pipeline.video import NO_LIMITS, Limits, VideoInfo, VideoReader

Images = dict[str, npt.NDArray[Any]]
"""What a model takes of some frames: `frames` and `flow`, each uint8 (N, H, W, 3), `pose`, ..."""

Clip = dict[str, list[bytes]]
"""The same of a clip as it is stored: bytes for each of its real frames, the T of the model at
most."""


class Stored(Protocol):
    """What is stored of the frames of a video, such as a list of bytes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> bytes: ...


def cut_clips(images: Mapping[str, Stored], clip: ClipConfig) -> list[Clip]:
    """The clips that the model sees of a video, one a view."""
    num_frames = len(next(iter(images.values())))
    chosen = (sample_clip(num_frames, clip, view=view) for view in range(clip.views))
    return [
        {name: [each[index] for index in indices[mask]] for name, each in images.items()}
        for indices, mask in chosen
    ]


Frame = tuple[Mapping[str, bytes], ...]
"""What is stored of a frame, for each configuration of frames."""


class StoredFrames(Protocol):
    """Stored images of each frame of a video file, to be iterated over once.

    Attributes:
        info: What is known of the file; there once it was read to its end.
    """

    info: VideoInfo

    def __iter__(self) -> Iterator[Frame]: ...


class StoredVideo:
    """The `StoredFrames` of a file that is read in this process, in constant memory.

    Args:
        path: The file.
        each: What is stored of a frame; all at one rate.
        tables: Those of key points, for frames that take them.
        limits: How long and how large it may be.
    """

    info: VideoInfo

    def __init__(
        self,
        path: str | os.PathLike[str],
        each: Sequence[FramesConfig],
        tables: Tables | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self._path, self._each, self._tables, self._limits = path, each, tables, limits

    def __iter__(self) -> Iterator[Frame]:
        """Yields as `pipeline.frames.encoding.stored_in_sizes` does.

        Raises:
            VideoDecodeError: No frame can be had from the file, or it is beyond the limits.
        """
        with VideoReader(self._path, self._limits) as reader:
            yield from stored_in_sizes(reader, self._each, tables=self._tables)
            self.info = reader.info


@dataclasses.dataclass(frozen=True)
class Reading:
    """What models take of a video that is read once, those that take frames at one rate.

    Attributes:
        frames: What is stored of each frame, for each size and quality.
        takes: By the number of a model, which of `frames` it takes.
    """

    frames: tuple[FramesConfig, ...]
    takes: Mapping[int, int]

    def of(self, model: int, stored: Iterable[Frame]) -> Iterator[Mapping[str, bytes]]:
        """What one of the models takes of what is stored."""
        return map(operator.itemgetter(self.takes[model]), stored)


def readings_of(bundles: Sequence[Bundle]) -> list[Reading]:
    """How often a video must be read for some models: once for each rate."""
    rates = dict.fromkeys(bundle.frames.fps for bundle in bundles)
    found = []
    for fps in rates:
        numbers = [number for number, each in enumerate(bundles) if each.frames.fps == fps]
        kinds: list[FramesConfig] = []
        takes = {number: _taken(bundles[number].frames, kinds) for number in numbers}
        found.append(Reading(tuple(kinds), takes))
    return found


def _taken(frames: FramesConfig, kinds: list[FramesConfig]) -> int:
    """Which of some kinds of frames holds what is asked for, which is added where none does."""
    frames = dataclasses.replace(frames, shrink=1)  # It is read so, not stored.
    for number, kind in enumerate(kinds):
        if both := kind.joined(frames):
            kinds[number] = both
            return number
    kinds.append(frames)
    return len(kinds) - 1


OpenStored = Callable[[Sequence[FramesConfig]], StoredFrames]
"""Opens a file for what is stored of its frames."""


def clips_of(
    open_preparedd: OpenStored, bundles: Sequence[Bundle]
) -> tuple[list[list[Clip]], VideoInfo]:
    """The clips that each of some models sees of a whole video, which is not held in memory.

    Args:
        open_preparedd: Opens the file, such as `functools.partial(StoredVideo, path)`.
        bundles: Of each model, what it takes of a frame, and how clips are cut.

    Returns:
        The clips, by the number of the model, and what is known of the file.

    Raises:
        VideoDecodeError: No frame can be had from the file.
    """
    clips: dict[int, list[Clip]] = {}
    for reading in readings_of(bundles):
        stored = open_preparedd(reading.frames)
        with contextlib.ExitStack() as stack:
            spools = [
                {name: stack.enter_context(FrameSpool()) for name in frames.images}
                for frames in reading.frames
            ]
            for frame in stored:
                for images, spool in zip(frame, spools, strict=True):
                    for name, image in images.items():
                        spool[name].append(image)
            for number, kind in reading.takes.items():
                bundle = bundles[number]
                taken = {name: spools[kind][name] for name in bundle.frames.images}
                clips[number] = cut_clips(taken, bundle.clip)
    return [clips[number] for number in range(len(bundles))], stored.info


def decode_clip(clip: Mapping[str, Sequence[bytes]], bundle: Bundle) -> Images:
    """Decodes what a model takes of the frames of a clip, at least one."""
    return {
        name: np.stack([IMAGES[name].decode(image, bundle.frames) for image in clip[name]])
        for name in bundle.model.images
    }


def pairs_of(images: Arrays, before: Images | None = None) -> Images:
    """Each frame after the one before it, (N, 2, ...), as `Runtime.features` takes it.

    Args:
        images: Of frames in their order; a `mask` beside them does not count.
        before: Of the frames before them, of which the last one counts; None: there is none, and
            the first one comes after itself.
    """
    return {
        name: np.stack(
            [np.concatenate([before[name][-1:] if before else each[:1], each[:-1]]), each], axis=1
        )
        for name, each in images.items()
        if name != "mask"
    }


def as_batch(images: Images, length: int) -> dict[str, Any]:
    """The real frames of a clip as a network takes it: filled up to a length, a batch of one."""
    number = len(next(iter(images.values())))
    missing = length - number
    padded = {
        name: np.pad(each, [(0, missing), *[(0, 0)] * (each.ndim - 1)])[None]
        for name, each in images.items()
    }
    return {**padded, "mask": (np.arange(length) < number)[None]}


class ClipModel:
    """A model with what it is given."""

    def __init__(self, runtime: Runtime, bundle: Bundle) -> None:
        self.runtime, self.bundle = runtime, bundle

    def video_logits(self, clips: Sequence[Clip]) -> Logits:
        """Mean logits (C,) over the clips of a video."""
        mean: Logits = np.mean([self._clip_logits(clip) for clip in clips], axis=0)
        return mean

    def check(self, logits: npt.NDArray[np.floating[Any]]) -> None:
        """Makes sure that logits, float (..., C), are numbers.

        Raises:
            DataError: One is infinite or NaN.
        """
        if not np.isfinite(logits).all():
            raise DataError(
                f"{self.runtime.path}: the model gives logits that are no numbers (NaN or "
                "infinite). It is damaged, or its training failed: train it anew, or export it in "
                "another format"
            )

    def temporal_logits(self, features: Arrays) -> Logits:
        """The logits of a clip by the features of its real frames, (up to T, F), by stream."""
        length, number = self.bundle.clip.num_frames, len(next(iter(features.values())))
        missing = ((0, length - number), (0, 0))
        padded = {name: np.pad(rows, missing) for name, rows in features.items()}
        return self.runtime.logits(padded, np.arange(length) < number)

    def _clip_logits(self, clip: Clip) -> Logits:
        return self.temporal_logits(self.runtime.features(pairs_of(decode_clip(clip, self.bundle))))
