"""Writing shards in parallel worker processes that never outlive this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from tqdm import tqdm

from pipeline.data.shards import ShardReport, ShardTask, finished_report, write_shard
from pipeline.errors import PipelineError

_Message = tuple[str, str]  # names of a shard and of the video that is read for it

_messages: SimpleQueue[_Message]  # in a worker: the way back to the process that started it


def write_shards(tasks: Sequence[ShardTask], *, workers: int) -> list[ShardReport]:
    """Writes all shards that are not there yet, with a progress bar that counts videos.

    Args:
        tasks: The shards.
        workers: Processes; 0 is one per processor core.

    Returns:
        The report on each shard, in the order of tasks.

    Raises:
        PipelineError: A worker process died.
        OSError: A shard cannot be written.
    """
    reports = {task.name: report for task in tasks if (report := finished_report(task))}
    todo = [task for task in tasks if task.name not in reports]
    num_videos = sum(len(task.sources) for task in tasks)
    num_todo = sum(len(task.sources) for task in todo)
    # Without a terminal there is no bar, so that log files stay readable.
    with tqdm(total=num_videos, initial=num_videos - num_todo, unit="video", disable=None) as bar:
        if todo:
            reports |= _Pool(bar).run(todo, min(workers or _num_cores(), len(todo)))
    return [reports[task.name] for task in tasks]


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
        self._reading: dict[str, str] = {}
        self._bar = bar

    def run(self, tasks: Sequence[ShardTask], workers: int) -> dict[str, ShardReport]:
        """Writes the shards; returns the report on each, by its name."""
        reports = {}
        executor = ProcessPoolExecutor(
            workers, self._context, _start_worker, (self._leash, self._messages)
        )
        try:
            with _ctrl_c_blocked():
                pending = {executor.submit(_write_shard, task) for task in tasks}
            while pending:
                done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                self._receive()
                for future in done:
                    name, report = self._result(future)
                    reports[name] = report
        except BaseException:
            self._hold.close()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
            for end in (self._leash, self._hold, self._messages):
                end.close()
        return reports

    def _receive(self) -> None:
        while not self._messages.empty():
            shard, video = self._messages.get()
            if shard in self._reading:
                self._bar.update()
            self._reading[shard] = video

    def _result(self, future: Future[tuple[str, ShardReport]]) -> tuple[str, ShardReport]:
        try:
            name, report = future.result()
        except BrokenProcessPool:
            videos = ", ".join(sorted(self._reading.values())) or "its first video"
            raise PipelineError(
                "a worker process died, for lack of memory or because a decoder crashed, while "
                f"reading {videos}. Run the same command again, with fewer --workers or without "
                "that video; finished shards are kept."
            ) from None
        del self._reading[name]
        self._bar.update()
        return name, report


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


def _write_shard(task: ShardTask) -> tuple[str, ShardReport]:
    return task.name, write_shard(task, on_video=lambda video: _messages.put((task.name, video)))
