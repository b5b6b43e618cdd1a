"""Command lines whose first word names what to do."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from pipeline.errors import ConfigError
from pipeline.text import suggestion

COMPLETING = "_ARGCOMPLETE"
"""The variable in which a shell that completes a word says which word the arguments begin after."""


def complete(parser: argparse.ArgumentParser) -> None:
    """If a shell asks how the word at the cursor can go on, says so and ends the process."""
    if COMPLETING in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def run_named(
    arguments: Sequence[str], commands: Mapping[str, str], package: str, about: str
) -> int | None:
    """Runs the command that the first word names; without a word, says which there are.

    Args:
        arguments: The words.
        commands: What each command does, in a line.
        package: Where the modules of their names are; each has a `main`.
        about: What `--help` says; `{commands}` in it stands for the commands, a line each.

    Returns:
        The exit code; None is 0.

    Raises:
        ConfigError: There is no such command.
    """
    if COMPLETING in os.environ:
        arguments = _typed(commands)
    name, *others = arguments or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, commands))
        lines = (f"  {each:{width}}  {summary}" for each, summary in commands.items())
        print(about.format(commands="\n".join(lines)), end="")
        return None
    if name == "--version":
        from pipeline import __version__

        print(f"clipline {__version__}")
        return None
    if name not in commands:
        known = [*commands, "--help", "--version"]
        raise ConfigError(f"unknown command {name}. {suggestion(name, known)}")
    code: int | None = import_module(f"{package}.{name}").main(others)
    return code


def _typed(commands: Iterable[str]) -> list[str]:
    """The command whose words are to be completed; if it is the command itself, completes that."""
    from argcomplete import split_line

    place = int(os.environ[COMPLETING])
    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    words = split_line(line, point)[3]
    if len(words) <= place or words[place] not in commands:
        parser = argparse.ArgumentParser()
        parser.add_argument("command", choices=list(commands))
        complete(parser)
    os.environ[COMPLETING] = str(place + 1)
    return words[place : place + 1]
