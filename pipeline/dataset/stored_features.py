"""Features of every stored frame of a data set, computed once and kept beside it.

A temporal part that is trained on them needs no frames and no backbone.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write, named_in_errors
from pipeline.config import FramesConfig
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import Store
from pipeline.progress import progress
from pipeline.streams import IMAGES

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]

FOLDER = "features"
"""Folder of a data set for its features."""

_AT_ONCE = 16
"""Frames. EfficientNet-Lite0 takes 15.5 ms a frame on a core, of 64 at once 18, of 128 19."""


@dataclasses.dataclass(frozen=True)
class Span:
    """Place of a video's features in their file.

    Attributes:
        video: Its name.
        group: Its group.
        label: Number of its class; -1 where it is not one.
        start: Row of its first frame.
        num_frames: Number of its rows.
    """

    video: str
    group: str
    label: int
    start: int
    num_frames: int


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """The features of all videos of a data set, as one stream sees them.

    Attributes:
        path: The numbers; beside it lies a JSON file that says whose they are.
        shape: (frames of all videos, variants, F). The variants of a frame are itself and, where
            the file was made so, its mirror image; where images of motion may run backwards, the
            same of the video backwards follow.
        spans: The videos, in the order of their records.
    """

    path: Path
    shape: tuple[int, int, int]
    spans: tuple[Span, ...]

    @functools.cached_property
    def features(self) -> Features:
        """The features, float32, read from the disk as they are needed, also where it is gone."""
        return np.memmap(self.path, np.float32, "r", shape=self.shape)


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
    videos: Iterable[Mapping[str, Any]],
    image: str,
    extract: Callable[[Images], Features],
    *,
    shape: tuple[int, int, int],
    frames: FramesConfig,
) -> FeatureFile:
    """Computes the features of all videos and writes them, in little memory.

    Until it is whole, the file has the suffix `.part`. What is in it when a process is killed is
    kept, and not computed again.

    Args:
        path: The file to write, which no other process may be writing.
        videos: `video`, `group`, `label` and `first_frame` of each record, and its images as bytes
            of JPEG files.
        image: Which images, by their name in `IMAGES`.
        extract: From uint8 (N, H, W, 3) to float32 (N, variants, F).
        shape: (frames of all videos, variants, F).
        frames: How they are stored, and read.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    part, spans = path.with_name(f"{path.name}.part"), list[Span]()
    jpegs = _images(videos, image, spans)
    with named_in_errors(path, part), part.open("ab") as file:
        # Whole batches: in others, the last digits of the features may differ.
        size = _AT_ONCE * 4 * shape[1] * shape[2]
        batches = file.tell() // size
        file.truncate(batches * size)
        done = batches * _AT_ONCE
        jpegs = itertools.islice(jpegs, done, None)
        with progress("computing features", "frame", total=shape[0], done=done) as advance:
            while batch := list(itertools.islice(jpegs, _AT_ONCE)):
                decoded = [IMAGES[image].decode(jpeg, frames) for jpeg in batch]
                features = extract(np.stack(decoded))
                file.write(np.ascontiguousarray(features, np.float32).tobytes())
                file.flush()
                advance(len(batch))
        os.fsync(file.fileno())
    content = {"shape": shape, "spans": [dataclasses.astuple(span) for span in spans]}
    with atomic_write(path.with_suffix(".json")) as file:
        file.write(json.dumps(content, ensure_ascii=False).encode())
    part.replace(path)
    return FeatureFile(path, shape, tuple(spans))


def _images(videos: Iterable[Mapping[str, Any]], image: str, spans: list[Span]) -> Iterator[bytes]:
    """The images of all videos, as JPEG; `spans` says at the end whose they are."""
    row = 0
    for video in videos:
        jpegs = video[image]
        if video["first_frame"]:  # It goes on from the record before.
            last = spans.pop()
            spans.append(dataclasses.replace(last, num_frames=last.num_frames + len(jpegs)))
        else:
            name, group = video["video"].decode(), video["group"].decode()
            spans.append(Span(name, group, int(video["label"]), row, len(jpegs)))
        row += len(jpegs)
        yield from jpegs


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureVideos(Store):
    """A prepared data set of which the features of its frames are read, not the frames.

    Attributes:
        files: The features that each stream of a model takes, by `STREAM_features`.
    """

    files: Mapping[str, FeatureFile]

    @classmethod
    def of(cls, store: Store, files: Mapping[str, FeatureFile]) -> FeatureVideos:
        """The videos of a data set by their features."""
        fields = {field.name: getattr(store, field.name) for field in dataclasses.fields(store)}
        return cls(**fields, files=files)

    def spans(self, split: Split) -> list[Span]:
        """Places of a split's videos in `files`, in the order of `of_split`."""
        spans = next(iter(self.files.values())).spans
        names = {-1: "", **dict(enumerate(self.class_names))}
        found = {(span.video, span.group, names[span.label]): span for span in spans}
        records = self.of_split(split)
        labels = [record.row.label if self.labelling == "one" else "" for record in records]
        return [
            found[record.name, record.row.group, label]
            for record, label in zip(records, labels, strict=True)
        ]
