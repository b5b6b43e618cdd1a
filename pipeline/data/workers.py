"""Work on videos in parallel worker processes that never outlive this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from tqdm import tqdm

from pipeline.errors import PipelineError

Task = TypeVar("Task")
Result = TypeVar("Result")
OnVideo = Callable[[str], None]
Work = Callable[[Task, OnVideo], Result]
_Message = tuple[int, str]  # index of a task, and name of the video that it is at

_messages: SimpleQueue[_Message]  # in a worker: the way back to the process that started it


def run_in_workers(
    work: Work[Task, Result],
    tasks: Sequence[Task],
    *,
    doing: str,
    workers: int,
    num_videos: int,
    done: int = 0,
) -> list[Result]:
    """Works on tasks in processes, with a progress bar that counts videos.

    Args:
        work: A function of a module, which is called with a task and with what is to be called
            with the name of each video before it is worked on.
        tasks: What to work on, in about this order.
        doing: What the bar says is being done.
        workers: Processes; 0 is one per processor core. They are spawned: a script that calls
            this needs `if __name__ == "__main__":`.
        num_videos: What the bar counts up to.
        done: Where it starts.

    Returns:
        What `work` returned for each task.

    Raises:
        PipelineError: A worker process died.
        Exception: What `work` raised; the other tasks are stopped.
    """
    # Without a terminal there is no bar, so that log files stay readable.
    with tqdm(
        desc=doing, total=num_videos, initial=done, unit="video", leave=False, disable=None
    ) as bar:
        if not tasks:
            return []
        return _Pool(bar).run(work, tasks, min(workers or _num_cores(), len(tasks)))


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """One run of worker processes.

    All workers hold the reading end of a pipe whose writing end is here alone. It closes when this
    process stops the work or dies, by whatever means, and then they end at once.
    """

    def __init__(self, bar: tqdm[None]) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._leash, self._hold = self._context.Pipe(duplex=False)
        self._messages: SimpleQueue[_Message] = self._context.SimpleQueue()
        self._videos: dict[int, str] = {}  # that are worked on, by the index of their task
        self._bar = bar

    def run(self, work: Work[Task, Result], tasks: Sequence[Task], workers: int) -> list[Result]:
        """Works on the tasks; returns what comes of each."""
        executor = ProcessPoolExecutor(
            workers, self._context, _start_worker, (self._leash, self._messages)
        )
        try:
            with _ctrl_c_blocked():
                indices = {
                    executor.submit(_run, work, index, task): index
                    for index, task in enumerate(tasks)
                }
            results = self._collect(indices)
        except BaseException:
            self._hold.close()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
            for end in (self._leash, self._hold, self._messages):
                end.close()
        return [results[index] for index in range(len(tasks))]

    def _collect(self, indices: dict[Future[Result], int]) -> dict[int, Result]:
        results = {}
        pending = set(indices)
        while pending:
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            self._receive()
            for future in done:
                results[indices[future]] = self._result(future)
                self._videos.pop(indices[future], None)
                self._bar.update()
        return results

    def _receive(self) -> None:
        while not self._messages.empty():
            index, video = self._messages.get()
            if index in self._videos:
                self._bar.update()
            self._videos[index] = video

    def _result(self, future: Future[Result]) -> Result:
        try:
            return future.result()
        except BrokenProcessPool:
            videos = ", ".join(sorted(self._videos.values())) or "its first video"
            raise PipelineError(
                "a worker process died, for lack of memory or because a decoder crashed, at work "
                f"on {videos}. Run the same command again, with fewer --workers or without that "
                "video; what is finished is kept."
            ) from None


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Ctrl-C is for this process: workers started meanwhile never get it, nor print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start_worker(leash: Connection, messages: SimpleQueue[_Message]) -> None:
    global _messages
    _messages = messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked
    threading.Thread(target=_end_with, args=(leash,), daemon=True).start()


def _end_with(leash: Connection) -> None:
    try:
        leash.recv()
    except (EOFError, OSError):
        os._exit(1)


def _run(work: Work[Any, Result], index: int, task: Any) -> Result:
    return work(task, lambda video: _messages.put((index, video)))
