"""Command lines on which every key of a configuration can be set."""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import docstring_parser
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from pipeline.cli.script import check_options, example_of, help_with_default
from pipeline.config import RunConfig
from pipeline.config.file import flatten, load_config, preset_names, reworded
from pipeline.config.prepare import OPTIONS
from pipeline.errors import ConfigError
from pipeline.text import command, one_line

_DEMO_DATA = "data/demo"
_NEVER_SET = "frames"
"""The part of a run that is read from its data set."""


class _HelpFormatter(DefaultHelpFormatter):
    """Gives each option's default; its type is clear from the text."""

    def _get_help_string(self, action: argparse.Action) -> str:
        return help_with_default(action)


class ConfigParser(ArgumentParser):
    """A parser whose errors are `ConfigError` and name the nearest known option.

    Args:
        description: What the command does.
        name: The command.
        example: Words of an example of it; empty for none.
    """

    def __init__(self, description: str | None, name: str, example: str = "") -> None:
        super().__init__(
            prog=command(*name.split()),
            description=description,
            epilog=example_of(name, example),
            formatter_class=_HelpFormatter,
            exit_on_error=False,
            allow_abbrev=False,
        )
        self._hold_options: set[str] = set()

    def parse(self, arguments: Sequence[str]) -> Any:
        """Parses the arguments of a command line.

        Raises:
            ConfigError: An option is unknown or a value is not of its type.
        """
        words = self._joined(arguments)
        check_options(self, words)
        try:
            return self.parse_args(words)
        except argparse.ArgumentError as error:
            raise ConfigError(reworded(error)) from None
        except OverflowError:
            raise ConfigError("command line: expected numbers of less than 64 bits") from None

    def _joined(self, arguments: Sequence[str]) -> list[str]:
        """The arguments, of which a value that looks like an option is joined to what it is of."""
        words = iter(arguments)
        return [
            f"{word}={value}"
            if word in self._hold_options and (value := next(words, None)) is not None
            else word
            for word in words
        ]

    def add_fields(self, dataclass: type[Any]) -> None:
        """Adds an option for each field of a flat dataclass; its docstring is the help."""
        hints = get_type_hints(dataclass)
        documentation = docstring_parser.parse(dataclass.__doc__ or "")
        described = {item.arg_name: item.description for item in documentation.params}
        for field in dataclasses.fields(dataclass):
            kind = hints[field.name]
            option = f"--{field.name.replace('_', '-')}"
            if field.metadata == OPTIONS:
                self._hold_options.add(option)
            help_text = one_line(described[field.name] or "")
            if kind is bool:
                self.add_argument(option, action="store_true", help=help_text)
                continue
            self.add_argument(
                option,
                type=_comma_separated if kind == tuple[str, ...] else kind,
                default=field.default,
                help=help_text,
            )

    def add_run_config(self, arguments: Sequence[str]) -> None:
        """Adds `--config` and every key of a run; the values of the named config are defaults.

        Without `--config` it is `demo`, or, where other data is named, `small`.
        """
        chooser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
        chooser.add_argument("--config")
        chooser.add_argument("--data", default=_DEMO_DATA)
        try:
            chosen = chooser.parse_known_args(list(arguments))[0]
        except argparse.ArgumentError as error:
            raise ConfigError(one_line(error)) from None
        config = chosen.config or ("demo" if Path(chosen.data) == Path(_DEMO_DATA) else "small")
        self.add_argument(
            "--config",
            help=f"A preset ({', '.join(preset_names())}) or TOML file; default: demo, or small "
            "where other data is named.",
        )
        self.add_class_arguments(RunConfig, nested_key=None, skip={_NEVER_SET})
        self.usage = "%(prog)s [OPTIONS]"  # All of them by name fill a page.
        # Options that would take a file for a part of the run.
        for name in _sections(RunConfig()):
            self._option_string_actions[f"--{name}"].help = argparse.SUPPRESS
        values = flatten(dataclasses.asdict(load_config(config)))
        self.set_defaults(
            {key: value for key, value in values.items() if not key.startswith(f"{_NEVER_SET}.")}
        )


def run_config(parser: ConfigParser, namespace: Any) -> RunConfig:
    """The run that was parsed."""
    fields = [field.name for field in dataclasses.fields(RunConfig) if field.name != _NEVER_SET]
    values = parser.instantiate(namespace)
    return RunConfig(**{name: values[name] for name in fields})


def in_folds(config: RunConfig) -> RunConfig:
    """The same run as one of 5 folds, if it does not say of how many."""
    if config.split.folds:
        return config
    return dataclasses.replace(config, split=dataclasses.replace(config.split, folds=5))


def _sections(config: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of the parts of a configuration that have parts themselves."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value) and field.name != _NEVER_SET:
            yield f"{prefix}{field.name}"
            yield from _sections(value, f"{prefix}{field.name}.")


def _comma_separated(text: str | tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(text, str):  # The parser passes the default through here as well.
        return text
    cells = next(csv.reader([text], skipinitialspace=True), [])  # a name with a comma is quoted
    parts = tuple(cell.strip() for cell in cells if cell.strip())
    if not parts:
        message = f"expected names with commas between them, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return parts
