"""Work on files in a process of its own, which any file may end, at once or a part at a time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, Never, TypeVar

from pipeline.errors import VideoDecodeError
from pipeline.workers.pool import OnVideo, WorkerPool

Item = TypeVar("Item")


class FileWorker:
    """A process that works on one file at a time. Threads may share it: they take turns.

    Args:
        seconds: A file that gives nothing for so long is given up, and the process with it.
    """

    def __init__(self, seconds: float) -> None:
        self._pool: WorkerPool[Any, Any] = WorkerPool(
            _call, seconds_per_video=seconds, on_loss=_give_up, fatal=()
        )
        self._lock = threading.Lock()

    def do(self, work: Callable[..., Any], path: Path, *others: object) -> Any:
        """What a function of a module gives of a path and whatever else.

        Raises:
            VideoDecodeError: It did, or raised something else, or ended the process.
            PipelineError: It is stopped.
        """
        with self._lock:
            (found,) = self._pool.run([(work, str(path), others)])
        return found

    def stop(self) -> None:
        """Makes what is under way in another thread end."""
        self._pool.stop()

    def close(self) -> None:
        """Ends the process."""
        self._pool.close()


class InParts(Generic[Item]):
    """Long work on files within such a process, which yields items; it goes on where it was.

    Args:
        begin: Begins to work on a file.
        size: Items of a part.
    """

    def __init__(self, begin: Callable[[str], Iterator[Item]], size: int) -> None:
        self._begin, self.size = begin, size
        self._under_way: dict[str, tuple[int, Iterator[Item]]] = {}

    def next(self, path: str, done: int) -> list[Item]:
        """The next items of a file, after so many; fewer than `size` at its end."""
        at, items = self._under_way.pop(path, (-1, iter(())))
        if at != done:  # It is begun, or the process is another one.
            items = itertools.islice(self._begin(path), done, None)
        found = list(itertools.islice(items, self.size))
        if len(found) == self.size:
            self._under_way[path] = done + len(found), items
        return found


def _give_up(_: object, path: str, reason: str) -> Never:
    raise VideoDecodeError(path, reason)


def _call(task: tuple[Callable[..., Any], str, tuple[Any, ...]], on_video: OnVideo) -> Any:
    """What a function gives of a file."""
    work, path, others = task
    on_video(path)
    return work(path, *others)
