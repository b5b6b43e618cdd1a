"""A row of commands that run one after the other, and how far they are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final, Literal, Self

from pipeline.atomic import write_json
from pipeline.errors import DataError
from pipeline.locks import if_free
from pipeline.run import Run

State = Literal["waiting", "running", "stopped", "failed", "done"]

_STATE: Final = "job.json"
_LOG: Final = "log.txt"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A row of commands.

    Attributes:
        title: What they do.
        steps: The words of each, after `clipline`.
        run: Folder of the run that comes of it, in the workspace; empty: none does.
        data: Folder of the prepared data set, in the workspace.
        done: How many steps have ended well.
        state: `stopped`: somebody stopped it, or it was killed. It goes on where it was.
        process: Of the runner; 0: it was not started yet.
        started: When it was started first, in seconds since 1970.
        seconds: How long it has run in all.
    """

    title: str
    steps: tuple[tuple[str, ...], ...]
    run: str = ""
    data: str = ""
    done: int = 0
    state: State = "waiting"
    process: int = 0
    started: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, content: dict[str, Any]) -> Self:
        """A job of what `as_json` gave."""
        return cls(**{**content, "steps": tuple(map(tuple, content["steps"]))})

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return dataclasses.asdict(self)


def as_far_as_it_came(job: Job, root: Path) -> Job | None:
    """The job that makes a run of the best epoch so far of a training that did not end.

    The training can still go on.

    Args:
        job: The training.
        root: The folder of the workspace.

    Returns:
        None: It is running, or has ended, or has no epoch yet.
    """
    has_ended = job.state not in ("stopped", "failed") or job.steps[job.done][0] != "train"
    if has_ended or not Run(root / job.run).model_file.is_file():
        return None
    steps = ("export", job.run), ("evaluate", job.run)
    return Job(title=f"{job.title}, as far as it came", steps=steps, run=job.run, data=job.data)


class JobFolder:
    """The folder of a job: what it is, and its log.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        """What its commands print."""
        return self.path / _LOG

    @property
    def running(self) -> Path:
        """What is locked while it runs."""
        return self.path / "running"

    def read(self) -> Job:
        """The job; one that was killed is stopped.

        Raises:
            DataError: There is none.
        """
        job = self._written()
        if job.state != "running":
            return job
        with if_free(self.running) as is_free:
            job = self._written()  # It may have ended meanwhile; while this is locked, none begins.
        if is_free and job.state == "running":
            return dataclasses.replace(job, state="stopped")
        return job

    def _written(self) -> Job:
        try:
            return Job.of(json.loads((self.path / _STATE).read_bytes()))
        except (OSError, ValueError, TypeError, KeyError):
            raise DataError(f"{self.path.name}: there is no such training") from None

    def write(self, job: Job) -> None:
        """Writes what the job is by now."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / _STATE, job.as_json())
