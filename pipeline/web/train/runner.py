"""A process that runs the commands of a job: `python -m pipeline.web.train.runner FOLDER`."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipeline.locks import if_free
from pipeline.web.train.job import Job, JobFolder, State

_INTERRUPTED = (130, -signal.SIGINT)

_SECONDS_TO_LOCK = 5.0
"""Who looks whether it runs has the lock for a moment."""

_pressed: list[int] = []
"""Signals that came: a command that ends after one was stopped, whatever it makes of it."""


def main() -> None:
    """Runs the job whose folder the command line names."""
    folder = JobFolder(Path(sys.argv[1]))
    # Ctrl-C is for the command that runs; a handler, since what is ignored is ignored there, too.
    signal.signal(signal.SIGINT, lambda number, _: _pressed.append(number))
    with if_free(folder.running, _SECONDS_TO_LOCK) as is_free:
        if not is_free:
            sys.exit(f"{folder.path}: another process runs it")
        job = dataclasses.replace(folder.read(), state="running", process=os.getpid())
        folder.write(job)
        while job.state == "running":
            job = _step(folder, job)
            folder.write(job)


def _step(folder: JobFolder, job: Job) -> Job:
    """The job after its next command."""
    if job.done == len(job.steps):
        return dataclasses.replace(job, state="done")
    began = time.monotonic()
    words = job.steps[job.done]
    with folder.log.open("ab") as log:
        log.write(f"\n$ clipline {shlex.join(words)}\n".encode())
        log.flush()
        command = [sys.executable, "-m", "pipeline.cli", *words]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        if _pressed:  # before it was there to be told
            process.send_signal(signal.SIGINT)
        code = process.wait()
    job = dataclasses.replace(job, seconds=job.seconds + time.monotonic() - began)
    if code:
        state: State = "stopped" if _pressed or code in _INTERRUPTED else "failed"
        return dataclasses.replace(job, state=state)
    return dataclasses.replace(job, done=job.done + 1)


if __name__ == "__main__":
    main()
