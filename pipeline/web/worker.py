"""Work on files in a process of its own, which any file may end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

from pipeline.errors import VideoDecodeError
from pipeline.text import one_line
from pipeline.workers.pool import OnVideo, WorkerPool


class FileWorker:
    """A process that works on one file at a time. Threads may share it: they take turns.

    Args:
        seconds: A file that gives nothing for so long is given up, and the process with it.
    """

    def __init__(self, seconds: float) -> None:
        self._pool: WorkerPool[Any, Any] = WorkerPool(
            _call, seconds_per_video=seconds, on_loss=_give_up
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
        if isinstance(found, VideoDecodeError):
            raise found
        return found

    def stop(self) -> None:
        """Makes what is under way in another thread end."""
        self._pool.stop()

    def close(self) -> None:
        """Ends the process."""
        self._pool.close()


def _give_up(_: object, path: str, reason: str) -> Never:
    raise VideoDecodeError(path, f"{reason}.")


def _call(task: tuple[Callable[..., Any], str, tuple[Any, ...]], on_video: OnVideo) -> Any:
    """What a function gives of a file; an error is returned, since one that is raised ends this."""
    work, path, others = task
    on_video(path)
    try:
        return work(path, *others)
    except VideoDecodeError as error:
        return error
    except Exception as error:  # whatever a decoder thinks of
        return VideoDecodeError(path, f"{type(error).__name__}: {one_line(error)}")
