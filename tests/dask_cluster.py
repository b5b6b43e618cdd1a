"""A cluster of Dask on this machine: a scheduler and workers, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"


def _started(program, *arguments, **where):
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{program}", *map(str, arguments)],
        **where,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def dask_cluster(folder, count, *, options=("--no-nanny",), settings=None):
    """Starts it; gives its workers and the options of Beam that lead to it.

    Args:
        folder: Where its files go.
        count: Commands that start workers.
        options: Of these commands.
        settings: Of their environment, besides that of this process.
    """
    file = folder / "scheduler.json"
    scheduler = ("--port", 0, "--dashboard-address", ":0", "--no-dashboard", "--host", "127.0.0.1")
    started = [_started("dask_scheduler", *scheduler, "--scheduler-file", file)]
    worker = ("--nthreads", 1, "--no-dashboard", "--local-directory", folder, *options)
    environment = {**os.environ, **(settings or {})}
    try:
        started += [
            _started("dask_worker", "--scheduler-file", file, *worker, env=environment)
            for _ in range(count)
        ]
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        beam_options = f"--runner={RUNNER} --dask_client_address={address}"
        yield SimpleNamespace(workers=started[1:], beam_options=beam_options)
    finally:
        for each in reversed(started):
            each.kill()
            each.wait()
