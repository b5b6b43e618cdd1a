"""Worker processes for work on videos, of which any may crash, hang or raise, and costs itself.

No library does that. With `concurrent.futures`, one process that dies takes the others with it.
With pebble, which shares one queue of results, a worker that is killed while it sends a result
leaves the lock of the queue held, so that all wait for ever; and where an idle worker is killed,
the pool takes no more work. Here each process has a pipe of its own, which ends when it does.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, Generic, Never, Self, TypeVar

from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.progress import progress
from pipeline.workers.process import WorkerProcess

if TYPE_CHECKING:
    from pipeline.video import Limits, VideoInfo

Task = TypeVar("Task")
Result = TypeVar("Result")
OnVideo = Callable[[str], None]
Work = Callable[[Task, OnVideo], Result]
OnLoss = Callable[[Task, str, str], Task]

_TICK_SECONDS: Final = 0.1
_MOST_FALSE_STARTS: Final = 3
_SECONDS_TO_PROBE: Final = 60.0


def num_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerLostError(PipelineError):
    """A worker process ended before its work did, and the work cannot go on without it."""


def _stop(_: object, video: str, reason: str) -> Never:
    where = f"at work on {video}" if video else "before it began on a video"
    without = " or without that video" if video else ""
    raise WorkerLostError(
        f"a worker process was lost {where}: {reason} Run the same command again, with fewer "
        f"--workers{without}; what is finished is kept."
    )


@dataclass(kw_only=True)
class _Job(Generic[Task]):
    """A task on its way through one worker or, where workers are lost, several."""

    index: int
    task: Task
    video: str | None = None  # that is worked on
    seconds: float = 0.0  # that it has taken so far
    counted: set[str] = field(default_factory=set)  # videos that the bar shows as done
    false_starts: int = 0  # workers in a row that were lost before they began on a video


class WorkerPool(Generic[Task, Result]):
    """Worker processes that wait for more once they are done; a context manager for one thread.

    Args:
        work: A function of a module, which is called with a task and with what is to be called
            with the name of each video before it is worked on. The names within a task differ.
            The processes are spawned and know nothing of the script that this one runs.
        seconds_per_video: A worker that is at one video for longer is killed; the time begins anew
            whenever it says the name of the video again.
        too_slow: How the reason for that begins.
        on_loss: Called when a video cost a worker its life, or raised an error that is not fatal,
            with the task, the name of the video, and the reason, a sentence; returns the task to
            work on instead, which must not come to that video again. Without it all is stopped.
        fatal: Errors of the work that stop everything.
        on_done: Called when a video is over.
    """

    def __init__(
        self,
        work: Work[Task, Result],
        *,
        seconds_per_video: float = math.inf,
        too_slow: str = "it took longer than",
        on_loss: OnLoss[Task] = _stop,
        fatal: tuple[type[Exception], ...] = (Exception,),
        on_done: Callable[[], object] = lambda: None,
    ) -> None:
        self._work = work
        self._seconds_per_video, self._too_slow = seconds_per_video, too_slow
        self._on_loss, self._fatal, self._on_done = on_loss, fatal, on_done
        self._idle: list[WorkerProcess] = []
        self._waiting: deque[_Job[Task]] = deque()
        self._jobs: dict[WorkerProcess, _Job[Task]] = {}
        self._results: dict[int, Result] = {}
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes."""
        _end(self._idle)
        self._idle.clear()

    def run(self, tasks: Sequence[Task], *, workers: int = 1) -> list[Result]:
        """Works on tasks in so many processes, in about this order; returns what comes of each.

        Raises:
            PipelineError: A worker process was lost and there is no `on_loss`, or three in a row
                were before they began on a video of a task; or what `work` raised cannot be
                pickled; or the pool was stopped.
            Exception: What `work` raised that is fatal; the other tasks are stopped.
        """
        self._waiting = deque(_Job(index=index, task=task) for index, task in enumerate(tasks))
        self._results = {}
        try:
            while self._waiting and len(self._jobs) < workers:
                self._begin(self._waiting.popleft())
            last = time.monotonic()
            while self._jobs:
                ready = wait([worker.connection for worker in self._jobs], _TICK_SECONDS)
                if self._stopped:
                    raise PipelineError("the worker processes were stopped")
                now = time.monotonic()
                # While this process is stopped (Ctrl-Z), so are the workers: that does not count.
                self._look_after(ready, seconds=min(now - last, 2 * _TICK_SECONDS))
                last = now
        finally:
            _end(self._jobs)
            self._jobs.clear()
        return [self._results[index] for index in range(len(tasks))]

    def stop(self) -> None:
        """Makes `run`, in another thread, kill its processes and raise `PipelineError`."""
        self._stopped = True

    def _begin(self, job: _Job[Task]) -> None:
        """Gives a job to a worker that is idle, or to a new one, which will say that it is."""
        if self._idle:
            worker = self._idle.pop()
            worker.give(self._work, job.task)
        else:
            worker = WorkerProcess()
        self._jobs[worker] = job

    def _look_after(self, ready: Sequence[object], *, seconds: float) -> None:
        for worker, job in tuple(self._jobs.items()):
            job.seconds += seconds
            if worker.connection in ready:
                self._receive(worker, job)
            elif job.video is not None and job.seconds > self._seconds_per_video:
                reason = f"{self._too_slow} {self._seconds_per_video:g} seconds."
                self._lose(worker, job, reason)

    def _receive(self, worker: WorkerProcess, job: _Job[Task]) -> None:
        kind, content = worker.receive()
        if kind == "ready":
            worker.give(self._work, job.task)
        elif kind == "video":
            if content != job.video:
                self._count(job)
            job.video, job.seconds = content, 0.0
        elif kind == "result":
            self._rest(worker)
            self._count(job)
            self._results[job.index] = content
            if self._waiting:
                self._begin(self._waiting.popleft())
        elif kind == "dead":
            self._lose(worker, job, content)
        elif job.video is None or isinstance(content, self._fatal):
            raise content
        else:
            self._rest(worker)
            self._go_on_without(job, VideoDecodeError.of(job.video, content).reason)

    def _rest(self, worker: WorkerProcess) -> None:
        del self._jobs[worker]
        self._idle.append(worker)

    def _lose(self, worker: WorkerProcess, job: _Job[Task], reason: str) -> None:
        del self._jobs[worker]
        worker.close()
        self._go_on_without(job, reason)

    def _go_on_without(self, job: _Job[Task], reason: str) -> None:
        """Leaves the video out that is worked on; a task that is at none is begun anew."""
        self._count(job)
        if job.video is not None:
            job.task = self._on_loss(job.task, job.video, reason)
            job.video, job.false_starts = None, 0
        else:
            job.false_starts += 1
            if job.false_starts >= _MOST_FALSE_STARTS:
                _stop(job.task, "", reason)
        self._begin(job)

    def _count(self, job: _Job[Task]) -> None:
        """Counts the video that is over, unless a worker that was lost had done it already."""
        if job.video is not None and job.video not in job.counted:
            job.counted.add(job.video)
            self._on_done()


def _end(workers: Collection[WorkerProcess]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.close()


def run_in_workers(
    work: Work[Task, Result],
    tasks: Sequence[Task],
    *,
    doing: str,
    workers: int,
    num_videos: int,
    done: int = 0,
    **options: Any,
) -> list[Result]:
    """Works on tasks in processes, and shows how many videos are done.

    Args:
        work: See `WorkerPool`.
        tasks: What to work on, in about this order.
        doing: What is said to be done.
        workers: Processes; 0 is one per processor core.
        num_videos: How many videos there are.
        done: How many of them were done before.
        **options: Those of `WorkerPool`.

    Returns:
        What `work` returned for each task, in the order of the tasks.

    Raises:
        Exception: See `WorkerPool.run`.
    """
    with (
        progress(doing, "video", total=num_videos, done=done) as advance,
        WorkerPool(work, on_done=partial(advance, 1), **options) as pool,
    ):
        return pool.run(tasks, workers=workers or num_cores())


def probe_each(
    paths: Iterable[str],
    *,
    doing: str = "looking at videos",
    workers: int = 0,
    seconds_per_video: float = _SECONDS_TO_PROBE,
    limits: Limits | None = None,
) -> Mapping[str, VideoInfo | VideoDecodeError]:
    """Returns what is known of each file, or why it cannot be read; worker processes look at them.

    This process stays as it is: also its memory, which the index of a long file would fill.

    Args:
        paths: The files, repeatedly or not.
        doing: What the progress bar says is being done.
        workers: Processes; 0 is one per processor core.
        seconds_per_video: Looking at a video for longer is given up, in any case after 60.
        limits: How large they may be; None: as large as can be decoded.

    Raises:
        PipelineError: The worker processes cannot be started.
    """
    files = list(dict.fromkeys(paths))
    found = run_in_workers(
        _probe,
        [(path, limits, "") for path in files],
        doing=doing,
        workers=workers,
        num_videos=len(files),
        seconds_per_video=min(_SECONDS_TO_PROBE, seconds_per_video),
        on_loss=lambda task, _, reason: (*task[:2], reason),
        fatal=(),
    )
    return dict(zip(files, found, strict=True))


def _probe(task: tuple[str, Limits | None, str], on_video: OnVideo) -> VideoInfo | VideoDecodeError:
    """Looks at a file, unless there is a reason already why it cannot be read."""
    path, limits, reason = task
    if reason:
        return VideoDecodeError(path, reason)
    # NumPy, which comes with it, takes all the cores that it sees: `shares` is first.
    from pipeline.video import NO_LIMITS, probe

    on_video(path)
    return probe(path, limits=limits or NO_LIMITS)
