"""What happens in the worker processes of the tests, which import nothing that takes long for it.

As a script this is a run of its own, whose process can be killed, stopped and interrupted.
"""

import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.errors import PipelineError, VideoDecodeError
from pipeline.workers.pool import WorkerPool, run_in_workers
from tests.processes import wait_until

Task = Sequence[tuple[str | None, str]]  # videos, or None, and what happens there


class PickleError(Exception):
    def __reduce__(self):
        raise TypeError("no")


class UnpickleError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one}\n{two}")


def read(task, on_video):
    """Returns what comes of each video: its name, unless something happens."""
    results = []
    for video, event in task:
        if video is not None:
            on_video(video)
        name, _, argument = event.partition(" ")
        result = globals()[f"event_{name}"](argument) if name else None
        results.append(video if result is None else result)
    return results


def event_signal(name):
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(60)


def event_interrupt(_):
    """Ctrl-C where it cannot be kept away."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.kill(os.getpid(), signal.SIGINT)


def event_exit(code):
    os._exit(int(code))


def event_sleep(seconds):
    time.sleep(float(seconds))


def event_process(_):
    return os.getpid()


def event_mark(path):
    """Returns how often it has been called."""
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


def event_wait(path):
    wait_until(Path(path).exists)


def event_start(path):
    """Ends the process unless it is called for the third time, or the sixth."""
    if event_mark(path) % 3:
        os._exit(3)


def event_crash_once(path):
    if event_mark(path) == 1:
        event_signal("SIGSEGV")


def event_raise(name):
    if name == "decode":
        raise VideoDecodeError("a.avi", "no frame")
    if name == "memory":
        raise MemoryError
    if name == "cv2":
        import cv2

        cv2.resize(None, (0, 0))
    if name == "pickle":
        raise PickleError("over\ntwo lines")
    if name == "unpickle":
        raise UnpickleError("over", "two lines")
    raise ValueError("no value")


def event_lock(_):
    return threading.Lock()


def event_bytes(number):
    return bytes(int(number))


class KilledOnTheWay:
    """Kills the process that pickles it."""

    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def event_kill_on_the_way(_):
    return KilledOnTheWay()


def event_die_after(path):
    """Waits for a file, and ends the process once the result of the task has been sent."""
    main = threading.main_thread().ident or 0

    def die():
        # The result is sent from where `read` was called, and then the next task is waited for.
        wait_until(lambda: "_recv" in names_of_calls(sys._current_frames()[main]))
        os._exit(3)

    event_wait(path)
    threading.Thread(target=die, daemon=True).start()


def names_of_calls(frame):
    while frame:
        yield frame.f_code.co_name
        frame = frame.f_back


def event_tear(_):
    """Ends the process in the middle of a message."""
    (connection,) = (thing for thing in gc.get_objects() if isinstance(thing, Connection))
    os.write(connection.fileno(), b"\0\0\0\x10half")
    os._exit(3)


# What starts them.


def pool(**options):
    return WorkerPool(importlib.import_module("tests.workers.deeds").read, **options)


def run(tasks, **options):
    work = importlib.import_module("tests.workers.deeds").read  # where the workers find it as well
    options = {"doing": "reading", "workers": 2, "num_videos": 4} | options
    return run_in_workers(work, tasks, **options)


class Losses(list[tuple[str, str]]):
    """Leaves a video that was lost out of its task, and keeps its name and the reason."""

    def __call__(self, task, video, reason):
        self.append((video, reason))
        rest = [part for part in task if part[0] != video]
        assert len(rest) == len(task) - 1
        return rest


def main(tasks, options):
    try:
        print(run(json.loads(tasks), on_loss=Losses(), **json.loads(options)))
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except PipelineError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
