"""Worker processes for work on videos, of which any may crash or hang.

Other than with `concurrent.futures`, a worker that dies takes no other with it, and it is known
which video it was at.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, Generic, Self, TypeVar

from pipeline.errors import PipelineError
from pipeline.workers.process import WorkerProcess

Task = TypeVar("Task")
Result = TypeVar("Result")
OnVideo = Callable[[str], None]
Work = Callable[[Task, OnVideo], Result]
OnLoss = Callable[[Task, str, str], Task]

_TICK_SECONDS = 0.1
_MOST_FALSE_STARTS = 3


def num_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_workers(
    work: Work[Task, Result],
    tasks: Sequence[Task],
    *,
    doing: str,
    workers: int,
    num_videos: int,
    done: int = 0,
    seconds_per_video: float = math.inf,
    on_loss: OnLoss[Task] | None = None,
) -> list[Result]:
    """Works on tasks in processes, with a progress bar that counts videos.

    Args:
        work: A function of a module, which is called with a task and with what is to be called
            with the name of each video before it is worked on. The names within a task differ.
            The processes are spawned and know nothing of the script that this one runs.
        tasks: What to work on, in about this order.
        doing: What the bar says is being done.
        workers: Processes; 0 is one per processor core.
        num_videos: What the bar counts up to.
        done: Where it starts.
        seconds_per_video: A worker that is at one video for longer is killed.
        on_loss: Called when a worker died or was killed, with the task, the name of the video that
            it was at, and the reason; returns the task to work on instead, which must not come to
            that video again. None: the loss of a worker stops everything.

    Returns:
        What `work` returned for each task, in the order of the tasks.

    Raises:
        PipelineError: A worker process was lost and there is no `on_loss`, or three in a row were
            before they began on a video of a task; or what `work` raised cannot be pickled.
        Exception: What `work` raised; the other tasks are stopped.
    """
    from tqdm import tqdm  # Classifying has no bar, and does without the package.

    # Without a terminal there is no bar, so that log files stay readable.
    with (
        tqdm(
            desc=doing, total=num_videos, initial=done, unit="video", leave=False, disable=None
        ) as bar,
        WorkerPool(
            work, seconds_per_video=seconds_per_video, on_loss=on_loss, on_done=bar.update
        ) as pool,
    ):
        return pool.run(tasks, workers=workers or num_cores())


class WorkerLostError(PipelineError):
    """A worker process ended before its work did, and the work cannot go on without it."""


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
        work: See `run_in_workers`.
        seconds_per_video: A worker that is at one video for longer is killed; the time begins anew
            whenever it says the name of the video again.
        too_slow: How the reason for that begins.
        on_loss: See `run_in_workers`.
        on_done: Called when a video is over.
    """

    def __init__(
        self,
        work: Work[Task, Result],
        *,
        seconds_per_video: float = math.inf,
        too_slow: str = "it took longer than",
        on_loss: OnLoss[Task] | None = None,
        on_done: Callable[[], object] = lambda: None,
    ) -> None:
        self._work = work
        self._seconds_per_video, self._too_slow = seconds_per_video, too_slow
        self._on_loss = on_loss
        self._on_done = on_done
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
        """Works on tasks in so many processes; returns what comes of each.

        Raises:
            Exception: See `run_in_workers`.
        """
        self._waiting = deque(_Job(index=index, task=task) for index, task in enumerate(tasks))
        self._results = {}
        try:
            while self._waiting and len(self._jobs) < workers:
                if self._idle:
                    self._go_on(self._idle.pop())
                else:
                    self._jobs[WorkerProcess()] = self._waiting.popleft()
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
        return [self._results[index] for index in sorted(self._results)]

    def stop(self) -> None:
        """Makes `run`, in another thread, kill its processes and raise `PipelineError`."""
        self._stopped = True

    def _look_after(self, ready: Sequence[object], *, seconds: float) -> None:
        for worker, job in tuple(self._jobs.items()):
            job.seconds += seconds
            if worker.connection in ready:
                self._receive(worker, job)
            elif job.video is not None and job.seconds > self._seconds_per_video:
                self._replace(worker, f"{self._too_slow} {self._seconds_per_video:g} seconds")

    def _receive(self, worker: WorkerProcess, job: _Job[Task]) -> None:
        kind, content = worker.receive()
        if kind == "ready":
            worker.give(self._work, job.task)
        elif kind == "video":
            if content != job.video:
                self._count(job)
            job.video, job.seconds = content, 0.0
        elif kind == "result":
            self._count(job)
            self._results[job.index] = content
            self._go_on(worker)
        elif kind == "error":
            raise content
        else:
            self._replace(worker, content)

    def _go_on(self, worker: WorkerProcess) -> None:
        if self._waiting:
            self._jobs[worker] = self._waiting.popleft()
            worker.give(self._work, self._jobs[worker].task)
        else:
            del self._jobs[worker]
            self._idle.append(worker)

    def _replace(self, worker: WorkerProcess, reason: str) -> None:
        job = self._jobs.pop(worker)
        worker.close()
        if job.video is None:
            job.false_starts += 1
        if self._on_loss is None or job.false_starts >= _MOST_FALSE_STARTS:
            raise _lost(job, reason)
        if job.video is not None:
            self._count(job)
            job.task = self._on_loss(job.task, job.video, reason)
            job.video, job.false_starts = None, 0
        self._jobs[WorkerProcess()] = job

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


def _lost(job: _Job[Any], reason: str) -> WorkerLostError:
    if job.video is None:
        where, without = "before it began on a video", ""
    else:
        where, without = f"at work on {job.video}", " or without that video"
    return WorkerLostError(
        f"a worker process was lost {where}: {reason}. Run the same command again, with fewer "
        f"--workers{without}; what is finished is kept."
    )
