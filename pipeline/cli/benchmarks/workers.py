"""Measures what several cores are worth.

It trains with several workers, each on a core of its own, and with one. Then it cross-validates
with several jobs at once, and with one. It prints how long each takes, how many times as fast that
is, and the mean scores of each cross-validation.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.cli.script import Parser, positive
from pipeline.errors import PipelineError
from pipeline.run import Run
from pipeline.workers.pool import num_cores
from pipeline.workers.shares import share_of

EPOCHS = 6


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser(__doc__ or "", "benchmark workers", "--data data/NAME")
    parser.add_argument("--data", required=True, help="A prepared data set.")
    parser.add_argument("--config", default="small", help="A preset or TOML file to train.")
    parser.add_argument(
        "--batch-size",
        type=positive,
        default=8,
        help="Clips in a batch, which the workers of a training share.",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        default=2,
        help="Number of workers, and of jobs, that is compared with one; at most the cores.",
    )
    parser.add_argument(
        "--folds", type=positive, default=4, help="Number of folds of the cross-validation."
    )
    parser.add_argument(
        "--epochs",
        type=positive,
        default=5,
        help="Number of epochs in each fold of the cross-validation.",
    )
    options = parser.parse(arguments)
    data = str(Path(options.data).absolute())
    batch = ("--train.batch_size", str(options.batch_size))
    asked = ("--config", options.config, "--data", data, *batch)
    with tempfile.TemporaryDirectory() as folder:
        _compare_workers(asked, options.workers, Path(folder))
        _compare_jobs(asked, options, Path(folder))


def _compare_workers(asked: Sequence[str], count: int, folder: Path) -> None:
    print(f"An epoch, median of {EPOCHS - 1}, by workers of one core each:\n", flush=True)
    one = 0.0
    for number in dict.fromkeys((1, count)):
        run = Run(folder / f"workers-{number}")
        _train(number, (*asked, "--train.epochs", str(EPOCHS), "--run", str(run.folder)))
        seconds = statistics.median(row["seconds"] for row in run.history()[1:])
        one = one or seconds
        print(f"{number:>3} {seconds:8.2f} s {one / seconds:6.2f} times as fast", flush=True)


def _train(count: int, arguments: Sequence[str]) -> None:
    """Trains by so many workers, each on a core of its own."""
    cores = sorted(os.sched_getaffinity(0))
    addresses = [f"localhost:{port}" for port in _free_ports(count)]
    started = []
    for index in range(count):
        task = {"type": "worker", "index": index}
        cluster = {"cluster": {"worker": addresses}, "task": task}
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, share_of(cores, index, len(cores)))
        started.append(
            subprocess.Popen(  # noqa: S603  # this program
                [sys.executable, "-m", "pipeline.cli", "train", *arguments],
                env={**os.environ, "TF_CONFIG": json.dumps(cluster) if count > 1 else ""},
                stdout=subprocess.DEVNULL,
            )
        )
        os.sched_setaffinity(0, before)
    codes = [process.wait() for process in started]
    if any(codes):
        raise PipelineError(f"the workers ended with the exit codes {codes}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


def _compare_jobs(asked: Sequence[str], options: Any, folder: Path) -> None:
    folds, epochs, jobs = options.folds, options.epochs, options.workers
    print(f"\n{folds} folds of {epochs} epochs, by jobs that share {num_cores()} cores:\n")
    settings = ("--split.folds", str(folds), "--train.epochs", str(epochs))
    one = 0.0
    for number in dict.fromkeys((1, jobs)):
        out = folder / f"jobs-{number}"
        command = [sys.executable, "-m", "pipeline.cli", "crossval", *asked, *settings]
        started = time.perf_counter()
        subprocess.run(  # noqa: S603  # this program
            [*command, "--out", str(out), "--jobs", str(number)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - started
        one = one or seconds
        score = json.loads((out / "crossval.json").read_bytes())["fold_mean"]
        print(f"{number:>3} {seconds:8.1f} s {one / seconds:6.2f} times as fast   {score}")
