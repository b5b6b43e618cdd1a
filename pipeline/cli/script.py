"""The frame of every command: parsing, and mistakes that end in one clear line."""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pipeline.interrupt  # noqa: F401  # first, so that Ctrl-C ends the other imports as well
from pipeline.cli.commands import complete
from pipeline.errors import ConfigError, PipelineError, check_known
from pipeline.interrupt import leave_interrupted
from pipeline.text import command, one_line, visible, without_secrets

if TYPE_CHECKING:
    from pipeline.run import Run

Main = Callable[[Sequence[str]], int | None]


def _with_default(action: argparse.Action) -> str:
    """The help of an option with its default, where there is one to tell of."""
    text, default = action.help or "", action.default
    if default in (None, "", (), argparse.SUPPRESS) or (default is False and action.const):
        return text
    shown = default if isinstance(default, str) else json.dumps(default)
    return f"{text} (default: {shown.replace('%', '%%')})"


def positive(text: str) -> int:
    """A number of a command line that is at least 1, for the `type` of an option."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return int(text)


class _HelpFormatter(argparse.HelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            each if each.startswith("  ") else fill(each, width, indent) for each in paragraphs
        )

    def _get_help_string(self, action: argparse.Action) -> str:
        return _with_default(action)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `ConfigError` and say what to write instead.

    Args:
        description: What the command does.
        name: The command.
        example: Its arguments, as an example.
    """

    def __init__(self, description: str, name: str, example: str) -> None:
        super().__init__(
            prog=command(*name.split()),
            description=f"{description.strip()}\n\n  {command(*name.split())} {example}",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        self.hold_options: set[str] = set()
        """Options whose value may look like an option."""

    def parse(self, arguments: Sequence[str]) -> Any:
        """Parses the arguments of a command line.

        Raises:
            ConfigError: An option is unknown or a value is not of its type.
        """
        complete(self)
        words = self._joined(arguments)
        options = list(itertools.takewhile(lambda word: word != "--", words))
        names = [word.split("=")[0] for word in options if word.startswith("--")]
        known = [name for name in self._option_string_actions if name.startswith("--")]
        check_known(names, known, "command line")
        for word in options:
            if word[:1] == "-" and word not in ("-", "-h") and Path(word).exists():
                raise ConfigError(f"{word} reads as an option. Write ./{word}, or -- before it")
        found, others = self.parse_known_args(words)
        if others:
            raise ConfigError(
                f"unrecognized arguments: {' '.join(others)}. {self._instead(others)}"
            )
        return found

    def _instead(self, others: Sequence[str]) -> str:
        """What to do about words that have no place."""
        named = [each for each in ("--data", "--path") if each in self._option_string_actions]
        if named and others[0][0] != "-" and not self._get_positional_actions():
            return f"Did you mean {named[0]} {shlex.quote(others[0])}?"
        return f"See {self.prog} --help"

    def _joined(self, arguments: Sequence[str]) -> list[str]:
        """The arguments, of which a value that looks like an option is joined to what it is of."""
        words = iter(arguments)
        return [
            f"{word}={value}"
            if word in self.hold_options and (value := next(words, None)) is not None
            else word
            for word in words
        ]

    def error(self, message: str) -> NoReturn:
        """Says what is wrong."""
        raise ConfigError(one_line(message).removeprefix("argument "))

    def add_run(self, *, by_place: bool = False) -> None:
        """Adds the folder of a run as `--run`, or by its place as well, for `named_run`."""
        help_text = "Folder of the run; default: the one in runs/ whose training ended last."
        if by_place:
            self.add_argument("folder", nargs="?", metavar="RUN", default="", help=help_text)
            help_text = "The same as RUN."
        self.add_argument("--run", default="", help=help_text)


def named_run(options: Any) -> Run:
    """The run that the options of `Parser.add_run` name.

    Raises:
        ConfigError: They name two.
        DataError: They name none, and there is none.
    """
    from pipeline.run import Run, latest_run

    folder = getattr(options, "folder", "")
    if folder and options.run:
        raise ConfigError(f"expected one run, got {folder} and {options.run}")
    folder = folder or options.run
    return Run(Path(folder)) if folder else latest_run()


def run_command(name: str) -> NoReturn:
    """Runs the command of that name, see `run_script`."""
    run_script(lambda arguments: import_module(f"pipeline.cli.{name}").main(arguments))


def run_script(main: Main) -> NoReturn:
    """Runs a script and leaves with its exit code; a user's mistake gives one line and code 2."""
    sys.stdout, sys.stderr = _shown(sys.stdout), _shown(sys.stderr, but="\n\t\r")  # of a bar
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    try:
        code = main(sys.argv[1:]) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        leave_interrupted()
    except BrokenPipeError:  # such as that of `... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except (PipelineError, ModuleNotFoundError, MemoryError, OSError) as error:
        reason = visible(without_secrets(_reason(error)))
        print(f"clipline: {reason}", file=sys.stderr)
        code = 2
    sys.exit(code)


class _Shown:
    """A stream on which names of files and classes show what they hold, and command nothing."""

    def __init__(self, stream: io.TextIOWrapper, but: str) -> None:
        self._stream, self._but = stream, but

    def write(self, text: str) -> int:
        return self._stream.write(visible(text, but=self._but))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _shown(stream: Any, but: str = "\n\t") -> Any:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    return _Shown(stream, but)


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):  # of a machine that has only what classifying takes
        name = (error.name or "").partition(".")[0]
        return (
            f"this takes the package {name}, which is not installed; all that Clipline uses: in "
            "its clone, pip install -e ."
        )
    if isinstance(error, OSError) and error.filename:  # a full disk, a folder that is not writable
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return "out of memory" if isinstance(error, MemoryError) else str(error)
