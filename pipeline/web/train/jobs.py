"""The trainings of a workspace: started, stopped, and found again by the next server."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import DataError
from pipeline.locks import if_free
from pipeline.web.child import child_environment
from pipeline.web.errors import RunningError
from pipeline.web.train.job import Job, JobFolder

FOLDER: Final = Path(".clipline") / "jobs"
"""Where they are kept in the workspace; hidden, so that nothing takes them for data."""

_SECONDS_TO_START: Final = 10.0


class Jobs:
    """The jobs of a workspace, by numbers that count up.

    Args:
        root: The folder of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._processes: list[subprocess.Popen[bytes]] = []

    def folder(self, number: str) -> JobFolder:
        """The folder of a job; whether there is one shows when it is read."""
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise DataError("there is no such training")
        return JobFolder(self._root / FOLDER / number)

    def all(self) -> dict[str, Job]:
        """All jobs by their numbers, the latest first."""
        self._forget_ended()
        found = {}
        for number in sorted(self._numbers(), key=int, reverse=True):
            with contextlib.suppress(DataError):  # One that is damaged hides no other.
                found[number] = self.folder(number).read()
        return found

    def _numbers(self) -> list[str]:
        folder = self._root / FOLDER
        names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        return [name for name in names if name.isascii() and name.isdecimal()]

    def start(self, job: Job) -> str:
        """Starts a job; returns its number.

        Raises:
            RunningError: Another one is running.
        """
        with self._alone():
            number = str(max(map(int, self._numbers()), default=0) + 1)
            self.folder(number).write(dataclasses.replace(job, started=time.time()))
            self._run(number)
            return number

    def go_on(self, number: str) -> None:
        """Runs what is left of a job.

        Raises:
            DataError: There is none, or nothing is left of it.
            RunningError: Another one is running.
        """
        job = self.folder(number).read()
        if job.state in ("running", "done"):
            raise DataError(f"{job.title}: {job.state}, there is nothing to go on with")
        with self._alone():
            self._run(number)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps others from starting one, and makes sure that none is running.

        Two at once would slow each other, and might want one name.
        """
        with if_free(self._root / FOLDER, _SECONDS_TO_START) as is_free:
            for number, other in self.all().items():
                if other.state == "running":
                    raise RunningError(
                        f"{other.title} is running, and one training runs at a time. Stop it, or "
                        f"wait: /jobs/{number}"
                    )
            if not is_free:
                raise RunningError("another training is about to start. Wait until it has ended")
            yield

    def _run(self, number: str) -> None:
        folder = self.folder(number)
        job = folder.read()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "pipeline.web.train.runner", str(folder.path)],
            cwd=self._root,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes.append(process)
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            has_ended = process.poll() is not None  # By then it has written all that it will.
            if folder.read().process == process.pid:
                return
            if has_ended or time.monotonic() > deadline:
                raise DataError(f"{job.title}: it did not start")
            time.sleep(0.02)

    def stop(self, number: str) -> None:
        """Presses Ctrl-C, as it were: a training keeps its best epoch and can go on.

        Raises:
            DataError: There is no such job.
        """
        job = self.folder(number).read()
        if job.state == "running":
            with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
                os.killpg(job.process, signal.SIGINT)

    def _forget_ended(self) -> None:
        """Lets the system forget the processes that have ended, which it keeps until then."""
        self._processes = [each for each in self._processes if each.poll() is None]
