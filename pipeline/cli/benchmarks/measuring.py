"""Measuring, for all benchmarks: calls that take turns, and processes of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")

_APART = """
import json, resource, sys, time
{imports}
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
memory = resource.getrusage(resource.RUSAGE_{whose}).ru_maxrss
print(json.dumps([seconds, memory / (1e6 if sys.platform == "darwin" else 1e3)]))
"""


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started, which have ended."""
    if sys.platform == "win32":
        return time.process_time()
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_turn(
    calls: Sequence[Callable[[], Result]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[tuple[float, Result]]]:
    """Seconds and result of each run of each call.

    They take turns, so that all meet the same conditions.
    """
    runs: list[list[tuple[float, Result]]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, its_runs in zip(calls, runs, strict=True):
            start = clock()
            result = call()
            its_runs.append((clock() - start, result))
    return runs


def apart(imports: str, work: str, *arguments: str, whose: str = "SELF") -> tuple[float, float]:
    """Seconds that Python code takes in a process of its own, and megabytes of memory at most.

    Args:
        imports: What comes before and is not timed.
        work: The code.
        arguments: `sys.argv[1:]`.
        whose: The memory; SELF: of that process, CHILDREN: of those that it starts.
    """
    code = _APART.format(imports=imports, work=work, whose=whose)
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    seconds, memory = json.loads(done.stdout)
    return seconds, memory
