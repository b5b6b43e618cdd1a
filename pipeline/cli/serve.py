"""Answers programs over HTTP: what videos show, and what happens when in them.

It listens on this machine alone, until Ctrl-C; --host lets others in. Requests must know a token.
http://127.0.0.1:8000/docs says what can be asked.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.cli.listening import VARIABLE, Token, add_listening, token_of
from pipeline.cli.script import Parser
from pipeline.errors import ConfigError
from pipeline.text import extra

if TYPE_CHECKING:
    from pipeline.web.programs.models import Model

_UNITS: Final = {"K": 2**10, "M": 2**20, "G": 2**30}


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    options = _parser().parse(arguments)
    token = token_of(options)

    from pipeline.run import latest_run

    folders = [Path(run) for run in (*options.runs, *(options.run or ()))] or [latest_run().folder]
    try:
        from pipeline.web.programs.application import OPEN_PATHS, application
        from pipeline.web.programs.models import open_models
        from pipeline.web.programs.options import Options
        from pipeline.web.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "pipeline":
            raise
        raise ConfigError(f"a server takes the package {error.name}: {extra('web')}") from None

    from pipeline.video import DamagedVideoWarning, whole_files_only

    limits = Options(
        workers=options.workers,
        most_waiting=options.most_waiting,
        timeout_seconds=options.timeout,
        most_bytes=options.most_bytes,
        most_seconds=options.most_seconds,
        most_pixels=options.most_pixels,
        folder=Path(options.folder) if options.folder else None,
    )
    models = open_models(folders)
    whole_files_only()
    # Answers say which videos are damaged; who reads the log does not know their names.
    warnings.filterwarnings("ignore", category=DamagedVideoWarning)
    serve(
        application(models, limits),
        host=options.host,
        port=options.port,
        token=token.value,
        open_paths=OPEN_PATHS,
        on_start=lambda address: _show_start(list(models), address, token),
    )


def _parser() -> Parser:
    parser = Parser(__doc__ or "", "serve", "runs/NAME")
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="Folders of runs, or of fused ones; requests choose by their names (?run=NAME). "
        "Default: the one in runs/ whose training ended last.",
    )
    parser.add_argument("--run", nargs="+", action="extend", help="The same as RUN.")
    add_listening(parser)
    parser.add_argument(
        "--token",
        default="",
        help="What requests must know, as Authorization: Bearer TOKEN. Better as the variable "
        f"{VARIABLE}: the list of processes shows options.",
    )
    parser.add_argument(
        "--folder",
        default="",
        help="Requests may name videos below this folder, besides sending them.",
    )
    each_core = "Requests worked on at once; 0: one per processor core."
    _add(parser, "workers", 0, int, each_core, "NUMBER")
    _add(parser, "most-waiting", 64, int, "Requests that may wait besides; more get 429.", "NUMBER")
    _add(parser, "timeout", 120.0, float, "For a request, its video included.", "SECONDS")
    parser.add_argument(
        "--most-bytes",
        type=_bytes,
        metavar="BYTES",
        default="256M",
        help="Of a video, such as 500M or 2G; all uploads at once may have 8 times that.",
    )
    _add(parser, "most-seconds", 600.0, float, "That a video may last.", "SECONDS")
    _add(parser, "most-pixels", 4096 * 2304, int, "That its frames may have.", "PIXELS")
    return parser


def _add(
    parser: Parser, name: str, default: Any, kind: type[Any], text: str, metavar: str | None = None
) -> None:
    parser.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=text)


def _bytes(text: str) -> int:
    """A number of bytes, with K, M or G behind it or not.

    Example:
        >>> _bytes("256M"), _bytes("1000")
        (268435456, 1000)
    """
    unit = _UNITS.get(text[-1:].upper(), 1)
    number = text[:-1] if unit > 1 else text
    if not (number.isdecimal() and int(number)):
        raise argparse.ArgumentTypeError(f"expected bytes, such as 500M, got {text}")
    return int(number) * unit


def _show_start(models: Sequence[Model], address: str, token: Token) -> None:
    """Says where it listens, and how to ask."""
    names = ", ".join(model.name for model in models)
    print(f"serving {names} at {token.shown.within(address)}", flush=True)
    header = f"-H 'Authorization: Bearer {token.shown.value}' " if token.value else ""
    first = models[0]
    path = f"v1/{'timeline' if first.per_frame else 'classify'}"
    path += f"?run={first.name}" if len(models) > 1 else ""
    print(f"  curl {header}--data-binary @NEW.mp4 '{address}{path}'", flush=True)
