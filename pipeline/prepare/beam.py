"""Writing shards on a cluster: the same tasks, run by Apache Beam on Flink, Spark, Dataflow, ..."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.errors import ConfigError, PipelineError
from pipeline.prepare.plan import ShardReport, ShardTask, read_report
from pipeline.text import one_line


def write_with_beam(
    write: Callable[[ShardTask], object], tasks: Sequence[ShardTask], options: str
) -> list[ShardReport]:
    """Writes shards with Beam; all machines see videos and data set under the same paths.

    Args:
        write: Writes one shard on the machine that Beam gives it to; can be pickled.
        tasks: The shards.
        options: What the runner needs.

    Returns:
        The report on each.

    Raises:
        ConfigError: Beam is not installed, or the options are not such of it.
        PipelineError: Beam could not write them.
    """
    apache_beam = _import_beam()
    pipeline = _pipeline(apache_beam, options)
    try:
        with pipeline:
            (
                pipeline
                | "tasks" >> apache_beam.Create(list(tasks))
                # Else a runner may fuse the steps, and one machine does all of them.
                | "spread" >> apache_beam.Reshuffle()
                | "write" >> apache_beam.Map(write)
            )
    except Exception as error:  # It may be any, of any runner and from any machine.
        cause = error.__context__ or error
        raise PipelineError(
            f"Beam ended with {type(cause).__name__}: {one_line(cause)[-300:]}. Run the same "
            "command again; finished shards are kept."
        ) from error
    return [read_report(task.report_path) for task in tasks]


def _import_beam() -> Any:
    logging.disable(logging.WARNING)  # It speaks of what is only needed for Google's cloud.
    try:
        import apache_beam
    except ImportError:
        raise ConfigError("--runner beam needs Apache Beam: pip install 'clipline[beam]'") from None
    finally:
        logging.disable(logging.NOTSET)
    return apache_beam


def _pipeline(apache_beam: Any, options: str) -> Any:
    try:
        flags = apache_beam.options.pipeline_options.PipelineOptions(shlex.split(options))
        return apache_beam.Pipeline(options=flags)
    except (ValueError, TypeError, ImportError, SystemExit) as error:
        raise ConfigError(f"--beam-options: {one_line(error)}") from None
