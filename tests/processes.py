"""Processes that tests start, and the workers of these."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

Start = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def python_processes() -> Iterator[Start]:
    """Gives what starts Python with arguments, in a session of its own; all end with it."""
    started = []

    def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.communicate()


_DEADLY = """
import os, signal, sys
left = int(sys.argv[1])
def deadly(act):
    def acted(*arguments, **options):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*arguments, **options)
    return acted
for name in ("rename", "replace", "rmdir"):
    setattr(os, name, deadly(getattr(os, name)))
"""


def killed_ever_later(script: str, *arguments: object) -> Iterator[None]:
    """Runs a script, killed just before its first move or removal, its second, to the end.

    Its arguments begin at `sys.argv[2]`.
    """
    for number in itertools.count(1):
        command = [sys.executable, "-c", _DEADLY + script, str(number), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        yield
        if not done.returncode:
            return


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(processes: Iterable[int]) -> list[int]:
    def is_alive(process: int) -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return sorted(filter(is_alive, processes))


def workers_of(parent: int) -> list[int]:
    """Those that any thread of a process has started."""
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    return [
        int(child)
        for children in threads
        for child in children.read_text().split()
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
