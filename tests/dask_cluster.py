"""A cluster of Dask on this machine: a scheduler and workers, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class DaskCluster:
    address: str
    workers: list

    @property
    def beam_options(self):
        runner = "apache_beam.runners.dask.dask_runner.DaskRunner"
        return f"--runner={runner} --dask_client_address={self.address}"


def _started(program, *arguments, **where):
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{program}", *map(str, arguments)],
        **where,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def dask_cluster(folder, count, *, options=("--no-nanny",), settings=None, cwd=None):
    """Starts it.

    Args:
        folder: Where its files go.
        count: Commands that start workers.
        options: Of these commands.
        settings: Of their environment, besides that of this process.
        cwd: Their current folder; None: that of this process.
    """
    file = folder / "scheduler.json"
    scheduler = ("--port", 0, "--dashboard-address", ":0", "--no-dashboard")
    started = [
        _started("dask_scheduler", *scheduler, "--host", "127.0.0.1", "--scheduler-file", file)
    ]
    worker = ("--nthreads", 1, "--no-dashboard", "--local-directory", folder, *options)
    where = {"cwd": cwd, "env": {**os.environ, **(settings or {})}}
    try:
        started += [
            _started("dask_worker", "--scheduler-file", file, *worker, **where)
            for _ in range(count)
        ]
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        yield DaskCluster(address, started[1:])
    finally:
        for each in reversed(started):
            each.kill()
            each.wait()
