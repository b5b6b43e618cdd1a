"""The jobs of an experiment: each is done once, by whichever process comes to it first."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeline.config import RunConfig, expect
from pipeline.dataset.videos import resolve
from pipeline.errors import DataError
from pipeline.evaluation.results import Measured
from pipeline.experiments.runs import (
    measured,
    measured_before,
    measured_file,
    with_whole_paths,
)
from pipeline.experiments.search import Search
from pipeline.locks import if_free
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import held_open
from pipeline.run import Run
from pipeline.workers.beam import run_on_beam
from pipeline.workers.pool import OnVideo
from pipeline.workers.shares import run_in_shares

_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Job:
    """A run to train and measure.

    Attributes:
        title: What it is, in words.
        config: Its configuration, of which the task is known.
        data: Fingerprint of its data set, with its splits.
        run: Where it goes.
        split: What it is measured on.
        choose: Searches its settings; None: they are those of `config`.
    """

    title: str
    config: RunConfig
    data: str
    run: Run
    split: Split
    choose: Search | None = None


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Who works on the jobs, besides other commands in the same folder.

    Attributes:
        processes: Of this machine, each with its share of the cores.
        beam_options: What Apache Beam's runner needs; None: it is not asked.
    """

    processes: int = 1
    beam_options: str | None = None

    def __post_init__(self) -> None:
        expect(self.processes >= 1, "--jobs must be at least 1", self.processes)


HERE: Final = Executor()
Told = Callable[[Job, Measured], None]


def measure_all(jobs: Sequence[Job], told: Told, executor: Executor = HERE) -> None:
    """Measures the jobs that are not done yet and that no other process is at.

    What others are at is waited for, and taken over where they end before it is done. So several
    commands in one folder, which may lie on a disk that machines share, do together what one would.

    Args:
        jobs: What to measure.
        told: Called with each job and what it gave, once that is known.
        executor: Who does it.
    """
    todo = [job for job in jobs if measured_before(job.run) is None]
    if executor.beam_options is not None and todo:
        run_on_beam(
            partial(_measure_one, told=told),
            list(map(_for_any_machine, todo)),
            executor.beam_options,
            made=lambda job: measured_file(job.run),
        )
    elif executor.processes > 1 and todo:
        count = executor.processes if todo[0].choose else min(executor.processes, len(todo))
        run_in_shares(_take_part, (todo, told), count, on_loss=partial(print, flush=True))
    _together(jobs, told if executor == HERE else _silent)


def _for_any_machine(job: Job) -> Job:
    """The same with paths that hold in any current folder."""
    run = Run(job.run.folder.absolute())
    return replace(job, config=with_whole_paths(job.config), run=run)


def _silent(*_: object) -> None:
    """What was told in other processes is not told again."""


def _measure_one(job: Job, told: Told) -> None:
    _together([job], told)


def _take_part(work: tuple[Sequence[Job], Told], on_job: OnVideo) -> None:
    """What each of several processes does; what is printed goes into a file of each job."""
    jobs, told = work
    _together(jobs, told, on_job, waits=False, logs=True)


@held_open()
def _together(
    jobs: Sequence[Job],
    told: Told,
    on_job: OnVideo = _silent,
    *,
    waits: bool = True,
    logs: bool = False,
) -> None:
    """Goes round the jobs until all are done, or until others are at all that are left."""
    left = list(jobs)
    _expect_as_begun([job for job in left if measured_before(job.run) is None])
    while left:
        before = list(left)
        for job in before:
            was_done = measured_before(job.run)
            if found := was_done or _attempt(job, on_job, logs=logs):
                left.remove(job)
                if not (was_done and logs):
                    told(job, found)
        if left == before:
            if not waits:
                return
            time.sleep(_LOOK_SECONDS)


def _expect_as_begun(todo: Sequence[Job]) -> None:
    """Makes sure that the data set, which all share, is the one that they were begun with.

    Raises:
        DataError: It is not.
    """
    if todo and resolve(todo[0].config)[0].fingerprint != todo[0].data:
        raise DataError(
            f"{todo[0].config.data} was prepared anew since {todo[0].run.folder.parent} was begun: "
            "its runs would not go together. Name another folder (--out) or replace it "
            "(--overwrite)"
        )


def _attempt(job: Job, on_job: OnVideo, *, logs: bool) -> Measured | None:
    """Measures a job; None: another process is at it."""
    with contextlib.ExitStack() as stack:
        on_job(job.title)
        if logs:
            stack.enter_context(_logged(job.run.folder))
        before, config = 0.0, job.config
        if job.choose:  # All who come to it search together.
            search = job.run.folder.with_name(f"{job.run.folder.name}-search")
            config = job.choose(config, search)
            before = job.choose.seconds(search)
        if not stack.enter_context(if_free(job.run.folder)):
            return None
        return measured(config, job.run, job.split, before)


@contextlib.contextmanager
def _logged(folder: Path) -> Any:
    file = folder.parent / "logs" / f"{folder.name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield
