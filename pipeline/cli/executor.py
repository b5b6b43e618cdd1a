"""Options of commands whose work falls into jobs: who works on these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.cli.script import Parser, positive
from pipeline.config import expect
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.experiments.jobs import Executor


def add_executor(parser: Parser) -> None:
    """Adds `--jobs`, `--runner` and `--beam-options`, for `executor_of`."""
    parser.add_argument(
        "--jobs",
        type=positive,
        default=1,
        help="Trainings at once on this machine, each with its share of the cores and the GPUs. "
        "The same command on other machines, in the same --out on a shared disk, helps as well.",
    )
    parser.add_argument(
        "--runner",
        choices=["local", "beam"],
        default="local",
        help="Apache Beam spreads them over a cluster that shares a disk.",
    )
    parser.add_argument(
        "--beam-options", default="", help='What it needs, such as "--runner=FlinkRunner".'
    )
    parser.hold_options.add("--beam-options")


def executor_of(options: Any) -> Executor:
    """Who works on the jobs.

    Raises:
        ConfigError: The options do not go together.
    """
    from pipeline.experiments.jobs import Executor
    from pipeline.workers.beam import check_options

    on_beam = options.runner == "beam"
    if options.beam_options and not on_beam:
        raise ConfigError("--beam-options are for --runner beam: add it, or leave them out")
    expect(not on_beam or options.jobs == 1, "--jobs is for this machine alone", options.jobs)
    if on_beam:
        check_options(options.beam_options)
    return Executor(processes=options.jobs, beam_options=options.beam_options if on_beam else None)
