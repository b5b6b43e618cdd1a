"""What runs in the worker processes of `pipeline.inference.decoding`."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.config import FramesConfig
from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import Clip, Frame, StoredVideo, clips_of
from pipeline.key_points import Tables
from pipeline.video import NO_LIMITS, Limits, VideoInfo
from pipeline.workers.pool import OnVideo

_SIGN_OF_LIFE_SECONDS = 1.0
_AT_ONCE = 64
"""Frames that a process sends at once."""

Frames = Sequence[FramesConfig]


@dataclass(frozen=True, kw_only=True)
class Means:
    """How files are read besides what is stored of their frames.

    Attributes:
        tables: Those of key points, for models that take them.
        limits: How long and how large a file may be.
    """

    tables: Tables | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The decoded clips of a video file.

    Attributes:
        clips: The clips that each model sees.
        info: What is known of the file, with the number of frames that it decodes to.
        warnings: What is wrong with it nevertheless.
    """

    clips: list[list[Clip]]
    info: VideoInfo
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some frames of a file, in their order.

    Attributes:
        stored: What is stored of each.
        info: What is known of the file, at its end; None before.
        warnings: What is wrong with it.
    """

    stored: list[Frame]
    info: VideoInfo | None
    warnings: tuple[str, ...]


def decode(task: tuple[str, Sequence[Bundle], Means], on_video: OnVideo) -> Decoded:
    """The clips that models see of a file."""
    path, bundles, means = task
    on_video(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found, info = clips_of(partial(_WatchedVideo, path, on_video, means), bundles)
    return Decoded(clips=found, info=info, warnings=_texts(caught))


class _WatchedVideo(StoredVideo):
    """A file that is read here; meanwhile its name is said again."""

    def __init__(self, path: str, on_video: OnVideo, means: Means, each: Frames) -> None:
        super().__init__(path, each, means.tables, means.limits)
        self._name, self._on_video = path, on_video

    def __iter__(self) -> Iterator[Frame]:
        return _with_signs(super().__iter__(), self._name, self._on_video)


class _Reading:
    """The file that a process has open."""

    current: _Reading

    def __init__(self, path: str, frames: Frames, means: Means, on_video: OnVideo) -> None:
        self._stored = _WatchedVideo(path, on_video, means, frames)
        self._frames = iter(self._stored)

    def next_part(self) -> Part:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stored = list(itertools.islice(self._frames, _AT_ONCE))
        info = None if len(stored) == _AT_ONCE else self._stored.info
        return Part(stored=stored, info=info, warnings=_texts(caught))


def read_on(task: tuple[str, Frames | None, Means], on_video: OnVideo) -> Part:
    """The first part of a file, where it is said what is stored of it; else the next one."""
    path, frames, means = task
    on_video(path)
    if frames:
        _Reading.current = _Reading(path, frames, means, on_video)
    return _Reading.current.next_part()


def _with_signs(stored: Iterable[Frame], path: str, on_video: OnVideo) -> Iterator[Frame]:
    """Says the name of a file again while new frames come, however long it is."""
    last, said = b"", time.monotonic()
    for frame in stored:
        now = time.monotonic()
        if frame[0]["frames"] is not last and now - said >= _SIGN_OF_LIFE_SECONDS:
            on_video(path)
            said = now
        last = frame[0]["frames"]
        yield frame


def _texts(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(str(each.message) for each in caught)
