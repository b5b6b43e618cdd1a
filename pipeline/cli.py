"""What the scripts share: parsing, and mistakes that end in one clear line."""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import docstring_parser
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from pipeline.config import RunConfig
from pipeline.config_file import check_known, flatten, load_config, one_line, preset_names
from pipeline.errors import ConfigError, PipelineError
from pipeline.native_log import silent_native_log

Main = Callable[[Sequence[str]], int | None]


class _HelpFormatter(DefaultHelpFormatter):
    """Gives each option's default; its type is clear from the text."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        nothing = action.default is None or action.default is False
        if nothing or action.default in ("", (), argparse.SUPPRESS):
            return text
        return f"{text} (default: %(default)s)"


class Parser(ArgumentParser):
    """A parser whose errors are `ConfigError` and name the nearest known option."""

    def __init__(self, description: str) -> None:
        super().__init__(
            description=description,
            formatter_class=_HelpFormatter,
            exit_on_error=False,
            allow_abbrev=False,
        )

    def parse(self, arguments: Sequence[str]) -> Any:
        """Parses the arguments of a command line.

        Raises:
            ConfigError: An option is unknown or a value is not of its type.
        """
        names = [word.split("=")[0] for word in arguments if word.startswith("--")]
        check_known(names, self._option_string_actions, "command line")
        try:
            return self.parse_args(list(arguments))
        except argparse.ArgumentError as error:
            raise ConfigError(one_line(error)) from None

    def add_fields(self, dataclass: type[Any]) -> None:
        """Adds an option for each field of a flat dataclass; its docstring is the help."""
        hints = get_type_hints(dataclass)
        documentation = docstring_parser.parse(dataclass.__doc__ or "")
        described = {item.arg_name: item.description for item in documentation.params}
        for field in dataclasses.fields(dataclass):
            kind = hints[field.name]
            self.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=_comma_separated if kind == tuple[str, ...] else kind,
                default=field.default,
                help=one_line(described[field.name] or ""),
            )

    def add_run_config(self, arguments: Sequence[str], default: str) -> None:
        """Adds `--config` and every key of a run; the values of the named config are defaults."""
        chooser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
        chooser.add_argument("--config", default=default)
        try:
            config = chooser.parse_known_args(list(arguments))[0].config
        except argparse.ArgumentError as error:
            raise ConfigError(one_line(error)) from None
        presets = ", ".join(preset_names())
        self.add_argument("--config", default=default, help=f"A preset ({presets}) or TOML file.")
        self.add_class_arguments(RunConfig, nested_key=None)
        self.set_defaults(flatten(dataclasses.asdict(load_config(config))))


def run_config(parser: Parser, namespace: Any) -> RunConfig:
    """The run that was parsed."""
    fields = [field.name for field in dataclasses.fields(RunConfig)]
    values = parser.instantiate(namespace)
    return RunConfig(**{name: values[name] for name in fields})


def run_script(main: Main) -> NoReturn:
    """Runs a script and leaves with its exit code; a user's mistake gives one line and code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files and classes may be any
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    try:
        code = main(sys.argv[1:]) or 0
        sys.stdout.flush()
    except PipelineError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # such as that of `... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:  # a full disk, a folder that is not writable
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)


def import_tensorflow() -> None:
    """Imports TensorFlow without the notes that it prints about its build and missing GPUs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_native_log():
        import tensorflow  # noqa: F401


def _comma_separated(text: str | tuple[str, ...]) -> tuple[str, ...]:
    # The parser passes the default through here as well.
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(part.strip() for part in parts if part.strip())
