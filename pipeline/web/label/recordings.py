"""Frames of recordings for the page, by their number, decoded in processes of their own.

A file is read through once in the background. What that found is kept in the user's cache, so that
it is not done again for the same file.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

import numpy as np

from pipeline.atomic import atomic_write
from pipeline.errors import PipelineError
from pipeline.text import one_line
from pipeline.user_cache import user_cache
from pipeline.video import VideoInfo, encode_jpeg, probe
from pipeline.video.paths import file_mark
from pipeline.video.seeking import FrameMark, SeekingReader, mark_frames
from pipeline.web.worker import FileWorker, InParts

_SECONDS: Final = 60.0
"""A file that gives nothing for so long is given up."""

_MARKS_AT_ONCE: Final = 100
_STAMPS: Final = 1000
"""Timestamps before a frame that finding it takes at most."""

_MOST_FRAMES: Final = 64
_MOST_OPEN: Final = 8
_QUALITY: Final = 90
_CACHE: Final = "recordings"


class Recording:
    """What is known of the frames of a file so far; it grows while the file is read through.

    Attributes:
        mark: Changes with the file, see `file_mark`.
        info: What the container says.
        marks: float64 (N, 3): `FrameMark` of each frame so far.
        is_complete: Whether that is all of them.
        error: Why reading stopped before the end; empty: it did not.
    """

    def __init__(self, mark: str, info: VideoInfo, marks: np.ndarray, *, is_complete: bool) -> None:
        self.mark, self.info, self.marks = mark, info, marks
        self.is_complete, self.error = is_complete, ""

    def add(self, marks: Sequence[FrameMark]) -> None:
        """Takes up the next frames."""
        self.marks = np.concatenate([self.marks, np.reshape(marks, (-1, 3))])

    @property
    def is_unread(self) -> bool:
        """Whether there is more to read."""
        return not self.is_complete and not self.error

    def stamps(self, number: int) -> list[float]:
        """Timestamps of a frame and of those before it."""
        return [float(each) for each in self.marks[max(0, number + 1 - _STAMPS) : number + 1, 1]]


class Recordings:
    """The files that pages look at; a context manager. Threads may share it."""

    def __init__(self) -> None:
        self._open: dict[Path, Recording] = {}
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1)
        self._marking, self._showing = FileWorker(_SECONDS), FileWorker(_SECONDS)
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        for pool in (self._marking, self._showing):
            pool.stop()
        self._thread.shutdown(cancel_futures=True)
        for pool in (self._marking, self._showing):
            pool.close()

    def open(self, path: Path) -> Recording:
        """What is known of a file so far; reading it through begins if need be.

        Raises:
            VideoDecodeError: No frame can be had from the file.
        """
        mark = file_mark(path)
        with self._lock:
            known = self._open.pop(path, None)
            if known is None or known.error or known.mark != mark:
                known = self._begun(path, mark)
            self._open[path] = known  # the last of them is the latest
            for old in list(self._open)[:-_MOST_OPEN]:
                if self._open[old].is_complete:
                    del self._open[old]
            return known

    def frames(self, path: Path, first: int, count: int, *, width: int) -> list[bytes]:
        """Frames in a row as JPEG, none of them wider than so many pixels; fewer at the end.

        Raises:
            VideoDecodeError: A frame cannot be decoded, or the file was changed.
        """
        recording = self.open(path)
        last = min(first + min(count, _MOST_FRAMES), len(recording.marks))
        if not 0 <= first < last:
            return []
        stamps = recording.stamps(last - 1)
        size = _size(recording.info, width)
        found: list[bytes] = self._showing.do(_frames, path, first, last, stamps, size)
        return found

    def _begun(self, path: Path, mark: str) -> Recording:
        """What was kept of a file, or the beginning of reading it through."""
        info, marks = self._showing.do(_about, path), _kept(mark)
        if marks is not None:
            return Recording(mark, info, marks, is_complete=True)
        self._thread.submit(self._read_on)
        return Recording(mark, info, np.empty((0, 3)), is_complete=False)

    def _read_on(self) -> None:
        """Reads the next part of the file that was opened last, until all are read through."""
        with self._lock:
            paths = [path for path, each in self._open.items() if each.is_unread]
            path = paths[-1] if paths else None
            recording = self._open[path] if path else None
        if not path or not recording or self._is_closed:
            return
        try:
            marks = self._marking.do(_marks, path, len(recording.marks))
            recording.add(marks)
            if len(marks) < _MARKS_AT_ONCE:
                if file_mark(path) == recording.mark:
                    _keep(recording)
                recording.is_complete = True
        except (PipelineError, OSError) as error:
            recording.error = one_line(getattr(error, "reason", error))
        self._thread.submit(self._read_on)


def _size(info: VideoInfo, width: int) -> tuple[int, int] | None:
    if info.width <= width:
        return None
    return max(1, round(info.height * width / info.width)), width


def _kept(mark: str) -> np.ndarray | None:
    """What was found before of a file, float64 (N, 3); None: nothing was."""
    try:
        marks: np.ndarray = np.load(user_cache(_CACHE) / f"{mark}.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return marks if marks.ndim == 2 and marks.shape[1] == 3 and len(marks) else None


def _keep(recording: Recording) -> None:
    folder = user_cache(_CACHE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{recording.mark}.npy") as file:
            np.save(file, recording.marks)
    except OSError:
        return  # It is found again, then.


# What follows runs in the worker processes.

_marking = InParts(mark_frames, _MARKS_AT_ONCE)
_reader: tuple[str, SeekingReader] | None = None


def _about(path: str) -> VideoInfo:
    """What the container of a file says."""
    return probe(path)


def _marks(path: str, done: int) -> list[FrameMark]:
    """The marks of the next frames of a file, after so many."""
    return _marking.next(path, done)


def _frames(
    path: str, first: int, last: int, stamps: list[float], size: tuple[int, int] | None
) -> list[bytes]:
    """JPEGs of frames in a row."""
    reader = _opened(path)
    ends = range(len(stamps) - (last - first) + 1, len(stamps) + 1)
    try:
        return [
            encode_jpeg(reader.frame(number, stamps[:end], size=size), quality=_QUALITY)
            for number, end in zip(range(first, last), ends, strict=True)
        ]
    except Exception:
        _forget()
        raise


def _opened(path: str) -> SeekingReader:
    """The file, which stays open until another one is looked at."""
    global _reader
    mark = file_mark(Path(path))
    if not _reader or _reader[0] != mark:
        _forget()
        _reader = mark, SeekingReader(path)
    return _reader[1]


def _forget() -> None:
    global _reader
    if _reader:
        _reader[1].close()
        _reader = None
