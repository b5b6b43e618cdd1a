"""Work on videos in parallel worker processes, of which any may crash or hang.

Other than with `concurrent.futures`, a worker that dies takes no other with it, and it is known
which video it was at.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from pipeline.data.worker_process import WorkerProcess
from pipeline.errors import PipelineError

Task = TypeVar("Task")
Result = TypeVar("Result")
OnVideo = Callable[[str], None]
Work = Callable[[Task, OnVideo], Result]
OnLoss = Callable[[Task, str, str], Task]

_TICK_SECONDS = 0.1
_MOST_FALSE_STARTS = 3


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
        tasks: What to work on, in about this order.
        doing: What the bar says is being done.
        workers: Processes; 0 is one per processor core. They are spawned: a script that calls
            this needs `if __name__ == "__main__":`.
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
    # Without a terminal there is no bar, so that log files stay readable.
    with tqdm(
        desc=doing, total=num_videos, initial=done, unit="video", leave=False, disable=None
    ) as bar:
        pool = _Pool(work, tasks, seconds_per_video=seconds_per_video, on_loss=on_loss, bar=bar)
        return pool.run(min(workers or _num_cores(), len(tasks)))


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(kw_only=True)
class _Job(Generic[Task]):
    """A task on its way through one worker or, where workers are lost, several."""

    index: int
    task: Task
    video: str | None = None  # that is worked on
    seconds: float = 0.0  # that it has taken so far
    counted: set[str] = field(default_factory=set)  # videos that the bar shows as done
    false_starts: int = 0  # workers in a row that were lost before they began on a video


class _Pool(Generic[Task, Result]):
    """One run of worker processes."""

    def __init__(
        self,
        work: Work[Task, Result],
        tasks: Sequence[Task],
        *,
        seconds_per_video: float,
        on_loss: OnLoss[Task] | None,
        bar: tqdm[None],
    ) -> None:
        self._work = work
        self._waiting = deque(_Job(index=index, task=task) for index, task in enumerate(tasks))
        self._seconds_per_video = seconds_per_video
        self._on_loss = on_loss
        self._bar = bar
        self._jobs: dict[WorkerProcess, _Job[Task]] = {}
        self._results: dict[int, Result] = {}

    def run(self, num_workers: int) -> list[Result]:
        """Works on the tasks; returns what comes of each."""
        try:
            for _ in range(num_workers):
                self._jobs[WorkerProcess()] = self._waiting.popleft()
            last = time.monotonic()
            while self._jobs:
                ready = wait([worker.connection for worker in self._jobs], _TICK_SECONDS)
                now = time.monotonic()
                # While this process is stopped (Ctrl-Z), so are the workers: that does not count.
                self._look_after(ready, seconds=min(now - last, 2 * _TICK_SECONDS))
                last = now
        finally:
            for worker in self._jobs:
                worker.kill()
            for worker in self._jobs:
                worker.close()
        return [self._results[index] for index in sorted(self._results)]

    def _look_after(self, ready: Sequence[object], *, seconds: float) -> None:
        for worker, job in tuple(self._jobs.items()):
            job.seconds += seconds
            if worker.connection in ready:
                self._receive(worker, job)
            elif job.video is not None and job.seconds > self._seconds_per_video:
                self._replace(worker, f"it took longer than {self._seconds_per_video:g} seconds")

    def _receive(self, worker: WorkerProcess, job: _Job[Task]) -> None:
        kind, content = worker.receive()
        if kind == "ready":
            worker.give(self._work, job.task)
        elif kind == "video":
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
            worker.close()

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
            self._bar.update()


def _lost(job: _Job[Any], reason: str) -> PipelineError:
    if job.video is None:
        where, without = "before it began on a video", ""
    else:
        where, without = f"at work on {job.video}", " or without that video"
    return PipelineError(
        f"a worker process was lost {where}: {reason}. Run the same command again, with fewer "
        f"--workers{without}; what is finished is kept."
    )
