"""Several jobs at once on one machine, each with its share of the cores, and of the GPUs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.native_log import silent_native_log
from pipeline.workers.pool import OnVideo, WorkerLostError, WorkerPool

_DEVICES = Path("/dev")


class _Job(NamedTuple):
    """A job, pickled, so that it is imported only where its share was taken.

    Attributes:
        number: From 0.
        jobs: At once.
        content: The work and its argument.
        lost: Names of what cost an earlier process its life.
    """

    number: int
    jobs: int
    content: bytes
    lost: tuple[str, ...] = ()


def run_in_shares(
    work: Callable[[Any, OnVideo], None], argument: Any, jobs: int, on_loss: Callable[[str], object]
) -> None:
    """Runs the same work in several processes, which agree among themselves on who does what.

    Args:
        work: Called with the argument, and with what is to be called with the name of each piece
            before it is worked on; a function of a module.
        argument: What can be pickled.
        jobs: Processes.
        on_loss: Called with a line about it when a process was lost; another one takes its place.

    Raises:
        WorkerLostError: Two processes in a row were lost at the same piece.
        Exception: What the work raised; the others are stopped.
    """
    content = pickle.dumps((work, argument))
    tasks = [_Job(number, jobs, content) for number in range(jobs)]
    with WorkerPool(_take_part, on_loss=partial(_again, on_loss)) as pool:
        pool.run(tasks, workers=jobs)


def _again(on_loss: Callable[[str], object], job: _Job, piece: str, reason: str) -> _Job:
    if piece in job.lost:
        raise WorkerLostError(
            f"{piece}: a process was lost at it twice: {reason} Run the same command again, with "
            "fewer --jobs; what is finished is kept"
        )
    on_loss(f"{piece}: a process was lost at it: {reason} Another one goes on")
    return job._replace(lost=(*job.lost, piece))


def _take_part(job: _Job, on_piece: OnVideo) -> None:
    take_share(job.number, job.jobs)
    with silent_native_log():  # Its modules may import TensorFlow.
        work, argument = pickle.loads(job.content)  # noqa: S301  # It was pickled here.
    work(argument, on_piece)


def take_share(number: int, count: int, devices: Path = _DEVICES) -> None:
    """Leaves this process one of several equal shares of its cores, and one of the GPUs.

    Call it before TensorFlow is imported, which makes as many threads as there are cores.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, share_of(cores, number, count))
    if gpus := _gpus(devices):
        os.environ["CUDA_VISIBLE_DEVICES"] = share_of(gpus, number, count)[0]


def share_gpus(number: int, count: int, devices: Path = _DEVICES) -> None:
    """Leaves this process one of several equal shares of the GPUs that it sees, before it uses any.

    A single one is that of this process.
    """
    if gpus := _gpus(devices):
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(share_of(gpus, number, count))


def _gpus(devices: Path) -> list[str]:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return [str(each) for each in range(len(list(devices.glob("nvidia[0-9]*"))))]
    return [each for each in shown.split(",") if each]


def share_of(things: Sequence[Any], number: int, count: int) -> list[Any]:
    """One of several shares, next to each other; where there are too few, one thing is shared."""
    if len(things) < count:
        return [things[number % len(things)]]
    return list(things[number * len(things) // count : (number + 1) * len(things) // count])
