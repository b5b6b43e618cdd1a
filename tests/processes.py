"""Processes that tests start, and the workers of these."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Start = Callable[..., "subprocess.Popen[str]"]


@contextlib.contextmanager
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
                os.killpg(process.pid, signal.SIGKILL)
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


def wait_until(condition: Callable[[], Any]) -> Any:
    """What the condition gives, once it holds."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def alive(processes: Iterable[int]) -> list[int]:
    def is_alive(process: int) -> bool:
        state = _read(Path(f"/proc/{process}/stat")).rpartition(b")")[2].split()
        return state[:1] not in ([], [b"Z"])

    return sorted(filter(is_alive, processes))


def _read(path: Path) -> bytes:
    """Nothing where the process has ended, also meanwhile."""
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def children_of(parent: int) -> list[int]:
    """Processes that any thread of one has started."""
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for children in threads for child in _read(children).split()]


def workers_of(parent: int) -> list[int]:
    children = children_of(parent)
    return [each for each in children if b"spawn_main" in _read(Path(f"/proc/{each}/cmdline"))]
