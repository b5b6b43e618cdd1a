"""Decoding in worker processes: a file that crashes a decoder, or hangs it, costs itself alone."""

from __future__ import annotations

import itertools
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Never, Self, TypeVar

from pipeline.config import FramesConfig
from pipeline.errors import VideoDecodeError
from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import Clip, Frame, StoredVideo, clips_of
from pipeline.key_points import Tables
from pipeline.text import one_line
from pipeline.video import DamagedVideoWarning, VideoInfo
from pipeline.workers.pool import OnVideo, Work, WorkerPool, num_cores

SECONDS_PER_FRAME = 60.0
"""Without a new frame for so long, a file is given up."""

_SIGN_OF_LIFE_SECONDS = 1.0
_AT_ONCE = 64
"""Frames that a process sends at once."""

Frames = Sequence[FramesConfig]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The decoded clips of a video file, or why there are none.

    Attributes:
        clips: The clips that each model sees.
        info: What is known of the file, with the number of frames that it decodes to.
        warnings: What is wrong with it nevertheless.
    """

    clips: list[list[Clip]]
    info: VideoInfo
    warnings: tuple[str, ...]

    def warn(self) -> None:
        """Tells what is wrong with the file."""
        _warn(self.warnings)


class Decoders:
    """Worker processes that decode video files; a context manager, whose end waits for none.

    They are spawned: a script that uses them needs `if __name__ == "__main__":`.

    Args:
        bundles: Of each model, what is stored of a video, and how clips are cut.
        workers: How many at most; each is started when it is first needed. 0 is one per
            processor core.
        tables: Those of key points, for models that take them.
    """

    def __init__(
        self, bundles: Sequence[Bundle], *, workers: int, tables: Tables | None = None
    ) -> None:
        self._bundles, self._tables = bundles, tables
        workers = workers or num_cores()
        self._threads = ThreadPoolExecutor(workers)
        self._pools = [_pool(_decode) for _ in range(workers)]
        self._free = list(self._pools)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.stop()
        self._threads.shutdown(cancel_futures=True)
        for pool in self._pools:
            pool.close()

    def decode(self, paths: Iterable[str]) -> Iterator[tuple[str, Decoded | VideoDecodeError]]:
        """Decodes files in their order; while one is used, the next ones are decoded.

        Yields:
            Each path with what comes of it, or with the error: no frame can be had from it, or the
            process that decoded it crashed, or gave no new frame for `SECONDS_PER_FRAME`.
        """
        remaining = iter(paths)
        # So few that the memory does not depend on how many files there are.
        ahead = itertools.islice(remaining, 2 * len(self._pools))
        waiting = deque((path, self._threads.submit(self._decode, path)) for path in ahead)
        while waiting:
            path, future = waiting.popleft()
            yield path, future.result()
            for following in itertools.islice(remaining, 1):
                waiting.append((following, self._threads.submit(self._decode, following)))

    def _decode(self, path: str) -> Decoded | VideoDecodeError:
        pool = self._free.pop()  # There are as many as threads.
        try:
            return pool.run([(path, self._bundles, self._tables)])[0]
        except VideoDecodeError as error:
            return error
        finally:
            self._free.append(pool)


@contextmanager
def reading_elsewhere(
    tables: Tables | None = None,
) -> Iterator[Callable[[str | Path, Frames], RemoteVideo]]:
    """An opener of video files in a worker process; one at a time is read."""
    with _pool(_read_on) as pool:
        yield partial(RemoteVideo, pool, tables)


class RemoteVideo:
    """The `pipeline.inference.clips.StoredFrames` of a file, see `reading_elsewhere`."""

    info: VideoInfo

    def __init__(
        self,
        pool: WorkerPool[tuple[str, Frames | None, Tables | None], _Part | VideoDecodeError],
        tables: Tables | None,
        path: str | Path,
        frames: Frames,
    ) -> None:
        self._pool, self._tables, self._path, self._frames = pool, tables, str(path), frames

    def __iter__(self) -> Iterator[Frame]:
        """Yields what is stored of each frame.

        Raises:
            VideoDecodeError: See `Decoders.decode`.
        """
        frames: Frames | None = self._frames
        while True:
            (part,) = self._pool.run([(self._path, frames, self._tables)])
            if isinstance(part, VideoDecodeError):
                raise part
            _warn(part.warnings)
            yield from part.stored
            if part.info:
                self.info = part.info
                return
            frames = None


@dataclass(frozen=True, kw_only=True)
class _Part:
    stored: list[Frame]
    info: VideoInfo | None  # at the end of the file
    warnings: tuple[str, ...]


def _pool(work: Work[Task, Result]) -> WorkerPool[Task, Result]:
    return WorkerPool(
        work,
        seconds_per_video=SECONDS_PER_FRAME,
        too_slow="it gave no new frame for",
        on_loss=_give_up,
    )


def _give_up(_: object, path: str, reason: str) -> Never:
    raise VideoDecodeError(path, f"{reason}.")


def _warn(texts: tuple[str, ...]) -> None:
    for text in texts:
        warnings.warn(text, DamagedVideoWarning, stacklevel=4)


# What follows runs in the worker processes.


def _decode(
    task: tuple[str, Sequence[Bundle], Tables | None], on_video: OnVideo
) -> Decoded | VideoDecodeError:
    path, bundles, tables = task

    def decode() -> Decoded:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clips, info = clips_of(partial(_WatchedVideo, path, on_video, tables), bundles)
        return Decoded(clips=clips, info=info, warnings=_texts(caught))

    return _guarded(decode, path, on_video)


class _WatchedVideo(StoredVideo):
    """A file that is read here; meanwhile its name is said again."""

    def __init__(self, path: str, on_video: OnVideo, tables: Tables | None, each: Frames) -> None:
        super().__init__(path, each, tables)
        self._name, self._on_video = path, on_video

    def __iter__(self) -> Iterator[Frame]:
        return _with_signs(super().__iter__(), self._name, self._on_video)


class _Reading:
    """The file that a process has open."""

    current: _Reading

    def __init__(self, path: str, frames: Frames, tables: Tables | None, on_video: OnVideo) -> None:
        self._stored = _WatchedVideo(path, on_video, tables, frames)
        self._frames = iter(self._stored)

    def next_part(self) -> _Part:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stored = list(itertools.islice(self._frames, _AT_ONCE))
        info = None if len(stored) == _AT_ONCE else self._stored.info
        return _Part(stored=stored, info=info, warnings=_texts(caught))


def _read_on(
    task: tuple[str, Frames | None, Tables | None], on_video: OnVideo
) -> _Part | VideoDecodeError:
    """The first part of a file, where it is said what is stored of it; else the next one."""
    path, frames, tables = task

    def read() -> _Part:
        if frames:
            _Reading.current = _Reading(path, frames, tables, on_video)
        return _Reading.current.next_part()

    return _guarded(read, path, on_video)


def _guarded(work: Callable[[], Result], path: str, on_video: OnVideo) -> Result | VideoDecodeError:
    """Returns errors, since a process that raises one is ended."""
    on_video(path)
    try:
        return work()
    except VideoDecodeError as error:
        return error
    except MemoryError:
        return VideoDecodeError(path, "there is not enough memory to decode it.")
    except Exception as error:  # whatever a decoder thinks of
        return VideoDecodeError(path, f"{type(error).__name__}: {one_line(error)}")


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
