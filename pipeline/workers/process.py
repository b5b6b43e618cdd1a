"""One process that works on tasks: what the process that started it sees of it, and its inside."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final, Literal

from pipeline.errors import PipelineError
from pipeline.text import one_line

Message = tuple[Literal["ready", "video", "result", "error", "dead"], Any]
"""What is new, with the name of the video, the result, the error or the cause of death."""

KILLED: Final = "killed"
"""How the cause of death begins where it was not the work: someone else ended the process."""

DASK_WORKER: Final = (
    "DASK_DISTRIBUTED__WORKER__DAEMON=False dask worker HOST:8786 --nworkers -1 --nthreads 1"
)
"""The command that starts workers of Dask which may start processes."""

_CONTEXT = multiprocessing.get_context("spawn")
# While a process is started, others that died are reaped, of whichever thread they are.
_reaping = threading.Lock()
_CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")


class WorkerProcess:
    """A spawned process that works on one task at a time and ends when this process does.

    Threads may have one each.

    Attributes:
        connection: The pipe to it, to be waited for: when it is ready, there is a message.

    Raises:
        PipelineError: This process may start none, as a worker of Dask under its nanny.
    """

    def __init__(self) -> None:
        if multiprocessing.current_process().daemon:
            raise PipelineError(
                "a daemonic process may start no others, and videos are decoded in processes of "
                f"their own. Start the workers of Dask so: {DASK_WORKER}"
            )
        self.connection, far_end = _CONTEXT.Pipe()
        # A daemon: should Ctrl-C come before anyone else knows of it, it is not waited for.
        self._process = _CONTEXT.Process(target=_serve, args=(far_end,), daemon=True)
        with far_end, _reaping, _ctrl_c_blocked(), _main_hidden():
            self._process.start()

    def give(self, work: Callable[[Any, Callable[[str], None]], object], task: object) -> None:
        """Hands over a task, once the process said that it is ready or had a result."""
        with suppress(OSError):  # It is dead, and its last message will be that.
            self.connection.send((work, task))

    def receive(self) -> Message:
        """Takes its next message, or waits for it; the last one is that it is dead."""
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError):
            with _reaping:
                self._process.join()
                return "dead", _cause_of_death(self._process.exitcode)
        return ForkingPickler.loads(message)

    def kill(self) -> None:
        """Kills the process; `close` is still to be called."""
        self._process.kill()

    def close(self) -> None:
        """Leaves neither a process nor a file descriptor behind."""
        with _reaping:
            self._process.kill()
            self._process.join()
            self._process.close()
        self.connection.close()


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"the process ended with exit code {exit_code}."
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:  # as of a real-time signal
        name = f"signal {-exit_code}"
    if name in _CRASHES:
        return f"its decoder crashed ({name})."
    return f"{KILLED}{', perhaps for lack of memory' if name == 'SIGKILL' else ''} ({name})."


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Ctrl-C is for this process: none started meanwhile ever gets it, nor prints a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # The first process started would, and that unblocks Ctrl-C.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """A process started meanwhile does not run the script of this one again, guarded or not."""
    main = vars(sys.modules["__main__"])
    names: tuple[str, ...] = ("__file__", "__spec__")
    hidden = {name: main[name] for name in names if name in main}
    main.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        main.update(hidden)


# What follows runs in the process itself.


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):  # No one listens any more.
        # Tasks come only now that this process ends when told to: to import what they need is slow.
        connection.send(("ready", None))
        while True:
            try:
                work, task = connection.recv()
                result = work(task, lambda video: connection.send(("video", video)))
                connection.send(("result", result))
            except Exception as error:
                connection.send(("error", _portable(error)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error or, where it cannot be pickled, what it says; with its traceback as a note."""
    trace = "".join(traceback.format_exception(error))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        error = PipelineError(f"{type(error).__name__} in a worker process: {one_line(error)}")
    error.add_note(f"In a worker process:\n{trace}")
    return error
