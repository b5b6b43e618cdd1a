"""Work that falls into pieces, on a cluster: by Apache Beam, on Flink, Spark, Dask, ..."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.errors import ConfigError, PipelineError
from pipeline.text import extra, one_line


def run_on_beam(work: Callable[[Any], object], pieces: Sequence[Any], options: str) -> None:
    """Works on pieces, each on any machine of a cluster.

    Args:
        work: A function of a module, or a `functools.partial` of one; what it returns is dropped.
        pieces: What can be pickled.
        options: Of Beam and its runner, as on a command line.

    Raises:
        ConfigError: Beam is not installed, or its options are none.
        PipelineError: A piece could not be done.
    """
    beam = import_beam()
    pipeline = _pipeline(beam, _with_parts(options, len(pieces)))
    try:
        (
            pipeline
            | "pieces" >> beam.Create(list(pieces))
            # Else a runner may fuse the steps, and one machine does all of them.
            | "spread" >> beam.Reshuffle()
            | "work" >> beam.Map(_without_result, work)
        )
        result = pipeline.run()
        result.wait_until_finish()
        if hasattr(result, "client"):  # Of Dask, which would go on listening.
            result.client.close()
    except Exception as error:  # It may be any, of any runner and from any machine.
        cause = error.__context__ or error
        raise PipelineError(
            f"Beam ended with {type(cause).__name__}: {one_line(cause)[-300:]}. Run the same "
            "command again; what is finished is kept."
        ) from error


def _with_parts(options: str, count: int) -> str:
    """On Dask, which else gives 128 pieces at once to one worker, each piece is a task."""
    if "dask" not in options.lower() or "dask_npartitions" in options:
        return options
    return f"{options} --dask_npartitions={max(1, count)}"


def _without_result(piece: Any, work: Callable[[Any], object]) -> None:
    work(piece)


def import_beam() -> Any:
    """Imports Apache Beam.

    Raises:
        ConfigError: It is not installed.
    """
    logging.disable(logging.WARNING)  # It speaks of what is only needed for Google's cloud.
    try:
        import apache_beam
    except ImportError:
        raise ConfigError(f"--runner beam needs Apache Beam: {extra('beam')}") from None
    finally:
        logging.disable(logging.NOTSET)
    return apache_beam


def _pipeline(beam: Any, options: str) -> Any:
    try:
        flags = beam.options.pipeline_options.PipelineOptions(shlex.split(options))
        return beam.Pipeline(options=flags)
    except (ValueError, TypeError, ImportError, SystemExit) as error:
        raise ConfigError(f"--beam-options: {one_line(error)}") from None
