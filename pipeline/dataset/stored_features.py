"""Features of every stored frame of a data set, computed once and kept beside it.

A temporal part that is trained on them needs no frames and no backbone.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write, named_in_errors
from pipeline.manifest.annotation import merged
from pipeline.manifest.stored import Clip
from pipeline.prepare.prepared import PreparedDataset
from pipeline.progress import progress

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]

FOLDER = "features"
"""Folder of a data set for its features."""

_AT_ONCE = 16
"""Frames. EfficientNet-Lite0 takes 15.5 ms a frame on a core, of 64 at once 18, of 128 19."""


class Span(NamedTuple):
    """Place of frames in a row in a file of features.

    Attributes:
        frames: Key of the frames of their video, see `pipeline.frames.store.frames_key`.
        first: Number of the first one in the video.
        num_frames: How many.
    """

    frames: str
    first: int
    num_frames: int


def spans_of(clips: Iterable[Clip]) -> tuple[Span, ...]:
    """All frames of some videos, each once, in the order of the videos."""
    ranges: dict[str, list[tuple[float, float]]] = {}
    for clip in clips:
        span = (clip.first_frame, clip.first_frame + clip.num_frames)
        ranges.setdefault(clip.frames, []).append(span)
    return tuple(
        Span(key, int(first), int(end - first))
        for key, spans in ranges.items()
        for first, end in merged(spans)
    )


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """The features of all frames of a data set, as one stream sees them.

    Attributes:
        path: The numbers; beside it lies a JSON file that says whose they are.
        shape: (frames, variants, F). The variants of a frame are itself and, where the file was
            made so, its mirror image; where images of motion may run backwards, the same of the
            video backwards follow.
        spans: Whose frames they are, one span after the other.
    """

    path: Path
    shape: tuple[int, int, int]
    spans: tuple[Span, ...]

    @functools.cached_property
    def features(self) -> Features:
        """The features, float32, read from the disk as they are needed, also where it is gone."""
        return np.memmap(self.path, np.float32, "r", shape=self.shape)

    def of(self, clip: Clip, numbers: npt.NDArray[np.int64]) -> Features:
        """The features of frames of a video by their numbers in it, float32 (N, variants, F)."""
        return self.features[self._row_of(clip) + numbers]

    def _row_of(self, clip: Clip) -> int:
        """Where its first frame is."""
        for row, span in self._rows[clip.frames]:
            if span.first <= clip.first_frame < span.first + span.num_frames:
                return row + clip.first_frame - span.first
        raise KeyError(clip.name)

    @functools.cached_property
    def _rows(self) -> dict[str, list[tuple[int, Span]]]:
        """By the video, where each span of it begins."""
        found: dict[str, list[tuple[int, Span]]] = {}
        row = 0
        for span in self.spans:
            found.setdefault(span.frames, []).append((row, span))
            row += span.num_frames
        return found


def open_features(path: Path) -> FeatureFile | None:
    """Opens what `write_features` wrote; None if there is none that is whole."""
    try:
        content = json.loads(path.with_suffix(".json").read_bytes())
        shape = tuple(content["shape"])
        spans = tuple(Span(*span) for span in content["spans"])
        whole = path.stat().st_size == 4 * int(np.prod(shape))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return FeatureFile(path, shape, spans) if whole else None


def write_features(
    path: Path,
    spans: Sequence[Span],
    images: Iterable[bytes],
    decode: Callable[[bytes], Images],
    extract: Callable[[Images], Features],
    *,
    shape: tuple[int, int, int],
) -> FeatureFile:
    """Computes the features of all frames and writes them, in little memory.

    Until it is whole, the file has the suffix `.part`. What is in it when a process is killed is
    kept, and not computed again.

    Args:
        path: The file to write, which no other process may be writing.
        spans: Whose frames they are.
        images: What is stored of each frame.
        decode: From that to numbers, such as uint8 (H, W, 3).
        extract: From N of these to float32 (N, variants, F).
        shape: (frames, variants, F).

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with named_in_errors(path, part), part.open("ab") as file:
        # Whole batches: in others, the last digits of the features may differ.
        size = _AT_ONCE * 4 * shape[1] * shape[2]
        batches = file.tell() // size
        file.truncate(batches * size)
        done = batches * _AT_ONCE
        left = itertools.islice(images, done, None)
        with progress("computing features", "frame", total=shape[0], done=done) as advance:
            while batch := list(itertools.islice(left, _AT_ONCE)):
                features = extract(np.stack([decode(each) for each in batch]))
                file.write(np.ascontiguousarray(features, np.float32).tobytes())
                file.flush()
                advance(len(batch))
        os.fsync(file.fileno())
    with atomic_write(path.with_suffix(".json")) as file:
        file.write(json.dumps({"shape": shape, "spans": spans}).encode())
    part.replace(path)
    return FeatureFile(path, shape, tuple(spans))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureVideos(PreparedDataset):
    """A prepared data set of which the features of its frames are read, not the frames.

    Attributes:
        features: The features that each stream of a model takes, by `STREAM_features`.
    """

    features: Mapping[str, FeatureFile]

    @classmethod
    def of(cls, store: PreparedDataset, features: Mapping[str, FeatureFile]) -> FeatureVideos:
        """The videos of a data set by their features."""
        fields = {field.name: getattr(store, field.name) for field in dataclasses.fields(store)}
        return cls(**fields, features=features)
