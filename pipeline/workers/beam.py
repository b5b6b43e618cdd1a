"""Work that falls into pieces, on a cluster: by Apache Beam, on Flink, Spark, Dask, ..."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ConfigError, PipelineError
from pipeline.text import extra, one_line

_SEEN_SECONDS: Final = 60.0
"""After which this machine sees what another one wrote to a disk that they share, such as NFS."""
_LIKE: Final = 0.9
"""How much a misspelt option is like the one that is meant, at least; 1: it is the same."""


def run_on_beam(
    work: Callable[[Any], object],
    pieces: Sequence[Any],
    options: str,
    made: Callable[[Any], Path] | None = None,
) -> None:
    """Works on pieces, each on any machine of a cluster.

    Args:
        work: A function of a module, or a `functools.partial` of one; what it returns is dropped.
        pieces: What can be pickled.
        options: Of Beam and its runner, as on a command line.
        made: Gives the file that the work on a piece leaves, which this machine must then see.

    Raises:
        ConfigError: Beam is not installed, or its options are none.
        PipelineError: A piece could not be done, or what was made of it is not seen here.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    beam = import_beam()
    # What it logs of a piece that failed is told by the error as well.
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
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
        if _is_ctrl_c(error):
            raise KeyboardInterrupt from None
        raise PipelineError(_reason(error)) from error
    if made:
        _expect_seen(map(made, pieces))


def _is_ctrl_c(error: BaseException | None) -> bool:
    """Whether it is what Beam made of Ctrl-C, where it was at a piece."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _reason(error: Exception) -> str:
    """What to say of work that ended in an error; one of ours says by itself what to do."""
    if isinstance(error, PipelineError):
        said, _, _ = str(error).partition(" [while running ")  # by Beam
        return f"on a machine of Beam: {said}"
    cause = error.__context__ or error
    return (
        f"Beam ended with {type(cause).__name__}: {one_line(cause)[-300:]}. Run the same command "
        "again; what is finished is kept."
    )


def _expect_seen(files: Iterable[Path]) -> None:
    end = time.monotonic() + _SEEN_SECONDS
    for file in files:
        while not file.is_file():
            if time.monotonic() > end:
                raise PipelineError(
                    f"{file}: Beam did its work, but this is not here. All of its machines must "
                    f"see the folder {file.parent} under the same path: name one on a disk that "
                    "they share"
                )
            time.sleep(0.5)


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
    with _quiet():
        try:
            import apache_beam
        except ImportError:
            raise ConfigError(f"--runner beam needs Apache Beam: {extra('beam')}") from None
    return apache_beam


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is heard of what is only needed for Google's cloud."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def check_options(options: str) -> None:
    """Makes sure that Beam is installed and knows its options.

    Raises:
        ConfigError: It is not, or does not.
    """
    _pipeline(import_beam(), options)


def _pipeline(beam: Any, options: str) -> Any:
    usage = io.StringIO()  # It ends with what is wrong, which the error does not say.
    try:
        words = shlex.split(options)
        with _quiet(), contextlib.redirect_stderr(usage):
            flags = beam.options.pipeline_options.PipelineOptions(words)
            pipeline = beam.Pipeline(options=flags)
            shutil.rmtree(pipeline.local_tempdir)  # for steps in other languages; there is none
            _check_known(pipeline.runner, flags, words)
    except SystemExit:
        _, _, reason = usage.getvalue().rpartition("error: ")
        raise ConfigError(f"--beam-options: {one_line(reason)}") from None
    except (ValueError, TypeError, ImportError) as error:
        raise ConfigError(f"--beam-options: {one_line(error)}") from None
    return pipeline


def _check_known(runner: Any, flags: Any, words: Sequence[str]) -> None:
    """Refuses what no runner knows.

    A service that a runner asks may know more options, so that there only what is misspelt is
    refused.
    """
    parsers: list[Any] = []
    flags.get_all_options(add_extra_args_fn=parsers.append)
    known = re.findall(r"--\w+", parsers[0].format_usage())
    for word in parsers[0].parse_known_args(words)[1]:
        near = difflib.get_close_matches(word.partition("=")[0], known, n=1, cutoff=_LIKE)
        if near or not _asks_service(runner):
            what = f"Did you mean {near[0]}?" if near else "Leave it out"
            raise ConfigError(f"--beam-options: unknown {word}. {what}")


def _asks_service(runner: Any) -> bool:
    from apache_beam.runners.direct import direct_runner
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    own = (direct_runner.SwitchingDirectRunner, direct_runner.BundleBasedDirectRunner, FnApiRunner)
    return not isinstance(runner, own)
