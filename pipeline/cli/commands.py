"""Command lines whose first word names what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from pipeline.errors import ConfigError
from pipeline.text import nearest


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
    name, *others = arguments or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, commands))
        lines = (f"  {each:{width}}  {summary}" for each, summary in commands.items())
        print(about.format(commands="\n".join(lines)), end="")
        return None
    if name not in commands:
        raise ConfigError(f"unknown command {name}. Did you mean {nearest(name, commands)}?")
    code: int | None = import_module(f"{package}.{name}").main(others)
    return code
