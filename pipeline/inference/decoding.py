"""Decoding in worker processes: a file that crashes a decoder, or hangs it, costs itself alone."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never, Self

from pipeline.config import FramesConfig
from pipeline.errors import VideoDecodeError
from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import Frame
from pipeline.inference.decoding_process import Decoded, Means, Part, decode, read_on
from pipeline.key_points import Tables
from pipeline.video import NO_LIMITS, DamagedVideoWarning, Limits, VideoInfo
from pipeline.workers.pool import OnVideo, Work, WorkerPool, num_cores
from pipeline.workers.process import KILLED

SECONDS_PER_FRAME = 60.0
"""Without a new frame for so long, a file is given up."""

Frames = Sequence[FramesConfig]


class DecoderKilledError(VideoDecodeError):
    """The process that read a file was killed from outside; the file may be a good one."""


class Decoder:
    """A worker process that reads video files, one at a time; a context manager for one thread.

    It is spawned when it is first needed. One that was lost is replaced.

    Args:
        tables: Those of key points, for models that take them.
        limits: How long and how large a file may be.
    """

    def __init__(self, *, tables: Tables | None = None, limits: Limits = NO_LIMITS) -> None:
        self._means = Means(tables=tables, limits=limits)
        self._pool: WorkerPool[Any, Any] = WorkerPool(
            _call,
            seconds_per_video=SECONDS_PER_FRAME,
            too_slow="it gave no new frame for",
            on_loss=_give_up,
            fatal=(),
        )
        self.is_stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clips(self, path: str | Path, bundles: Sequence[Bundle]) -> Decoded:
        """The clips that each of some models sees of a file.

        Raises:
            VideoDecodeError: No frame can be had from it, it is beyond the limits, or the process
                that decoded it crashed, or gave no new frame for `SECONDS_PER_FRAME`.
            DecoderKilledError: That process was killed.
            PipelineError: It was stopped.
        """
        found: Decoded = self._done(decode, (str(path), bundles, self._means))
        return found

    def open_video(self, path: str | Path, frames: Frames) -> RemoteVideo:
        """A file to be iterated over in this process, see `make_timeline`."""
        return RemoteVideo(self, path, frames)

    def next_part(self, path: str, frames: Frames | None) -> Part:
        """The first part of a file, of which it is said what is stored; else the next one.

        Raises:
            VideoDecodeError: See `clips`; likewise the others.
        """
        part: Part = self._done(read_on, (path, frames, self._means))
        return part

    def stop(self) -> None:
        """Makes what is read, by another thread, end with `PipelineError`; for good."""
        self.is_stopped = True
        self._pool.stop()

    def close(self) -> None:
        """Ends the process, of which nothing is read."""
        self._pool.close()

    def _done(self, work: Work[Any, Any], task: object) -> Any:
        (found,) = self._pool.run([(work, task)])
        return found


class Decoders:
    """Several that decode video files; a context manager, whose end waits for none.

    Args:
        bundles: Of each model, what is stored of a video, and how clips are cut.
        workers: How many at most; each is started when it is first needed. 0 is one per
            processor core.
        tables: Those of key points, for models that take them.
    """

    def __init__(
        self, bundles: Sequence[Bundle], *, workers: int, tables: Tables | None = None
    ) -> None:
        self._bundles = bundles
        workers = workers or num_cores()
        self._threads = ThreadPoolExecutor(workers)
        self._decoders = [Decoder(tables=tables) for _ in range(workers)]
        self._free = list(self._decoders)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for decoder in self._decoders:
            decoder.stop()
        self._threads.shutdown(cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()

    def decode(self, paths: Iterable[str]) -> Iterator[tuple[str, Decoded | VideoDecodeError]]:
        """Decodes files in their order; while one is used, the next ones are decoded.

        Yields:
            Each path with what comes of it, or with the error, see `Decoder.clips`.
        """
        remaining = iter(paths)
        # So few that the memory does not depend on how many files there are.
        ahead = itertools.islice(remaining, 2 * len(self._decoders))
        waiting = deque((path, self._threads.submit(self._decode, path)) for path in ahead)
        while waiting:
            path, future = waiting.popleft()
            yield path, future.result()
            for following in itertools.islice(remaining, 1):
                waiting.append((following, self._threads.submit(self._decode, following)))

    def _decode(self, path: str) -> Decoded | VideoDecodeError:
        decoder = self._free.pop()  # There are as many as threads.
        try:
            return decoder.clips(path, self._bundles)
        except VideoDecodeError as error:
            return error
        finally:
            self._free.append(decoder)


@contextmanager
def reading_elsewhere(
    tables: Tables | None = None,
) -> Iterator[Callable[[str | Path, Frames], RemoteVideo]]:
    """An opener of video files in a worker process; one at a time is read."""
    with Decoder(tables=tables) as decoder:
        yield decoder.open_video


class RemoteVideo:
    """The `pipeline.inference.clips.StoredFrames` of a file, see `Decoder.open_video`."""

    info: VideoInfo

    def __init__(self, decoder: Decoder, path: str | Path, frames: Frames) -> None:
        self._decoder, self._path, self._frames = decoder, str(path), frames

    def __iter__(self) -> Iterator[Frame]:
        """Yields what is stored of each frame.

        Raises:
            VideoDecodeError: See `Decoder.clips`; likewise the others.
        """
        frames: Frames | None = self._frames
        while True:
            part = self._decoder.next_part(self._path, frames)
            warn_of(part)
            yield from part.stored
            if part.info:
                self.info = part.info
                return
            frames = None


def warn_of(found: Decoded | Part) -> None:
    """Tells what is wrong with a file from which frames could be had."""
    for text in found.warnings:
        warnings.warn(text, DamagedVideoWarning, stacklevel=3)


def _give_up(_: object, path: str, reason: str) -> Never:
    kind = DecoderKilledError if reason.startswith(KILLED) else VideoDecodeError
    raise kind(path, reason)


def _call(task: tuple[Work[Any, Any], Any], on_video: OnVideo) -> Any:
    """Does in a worker process what a task names."""
    work, given = task
    return work(given, on_video)
