"""What the scripts share: parsing, and mistakes that end in one clear line."""

from __future__ import annotations

import argparse
import dataclasses
import io
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import docstring_parser
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from pipeline.config import RunConfig
from pipeline.config.file import check_known, flatten, load_config, preset_names, reworded
from pipeline.errors import ConfigError, PipelineError
from pipeline.native_log import silent_native_log
from pipeline.run import Run, latest_run
from pipeline.text import one_line

_DEMO_DATA = "data/demo"
_NEVER_SET = "frames"
"""The part of a run that is read from its data set."""

Main = Callable[[Sequence[str]], int | None]


class _HelpFormatter(DefaultHelpFormatter):
    """Gives each option's default; its type is clear from the text."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        nothing = action.default is None or action.default is False
        if nothing or action.default in ("", (), argparse.SUPPRESS):
            return text
        if isinstance(action.default, tuple | list):
            return f"{text} (default: {json.dumps(action.default)})"
        return f"{text} (default: %(default)s)"


class Parser(ArgumentParser):
    """A parser whose errors are `ConfigError` and name the nearest known option."""

    def __init__(self, description: str, *, prog: str | None = None) -> None:
        super().__init__(
            prog=prog,
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
        words = itertools.takewhile(lambda word: word != "--", arguments)
        names = [word.split("=")[0] for word in words if word.startswith("--")]
        options = self._option_string_actions.items()
        known = [name for name, action in options if action.help != argparse.SUPPRESS]
        check_known(names, known, "command line")
        try:
            return self.parse_args(list(arguments))
        except argparse.ArgumentError as error:
            raise ConfigError(reworded(error)) from None

    def add_fields(self, dataclass: type[Any]) -> None:
        """Adds an option for each field of a flat dataclass; its docstring is the help."""
        hints = get_type_hints(dataclass)
        documentation = docstring_parser.parse(dataclass.__doc__ or "")
        described = {item.arg_name: item.description for item in documentation.params}
        for field in dataclasses.fields(dataclass):
            kind = hints[field.name]
            option = f"--{field.name.replace('_', '-')}"
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

    def add_run(self) -> None:
        """Adds the folder of a run, by its place or as `--run`, for `named_run`."""
        help_text = "Folder of the run; default: the latest."
        self.add_argument("folder", nargs="?", metavar="RUN", default="", help=help_text)
        self.add_argument("--run", default="", help="The same.")

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


def named_run(options: Any) -> Run:
    """The run that the options of `Parser.add_run` name.

    Raises:
        ConfigError: They name two.
        DataError: They name none, and there is none.
    """
    if options.folder and options.run:
        raise ConfigError(f"expected one run, got {options.folder} and {options.run}")
    folder = options.folder or options.run
    return Run(Path(folder)) if folder else latest_run()


def run_config(parser: Parser, namespace: Any) -> RunConfig:
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
    except MemoryError:
        print(f"{Path(sys.argv[0]).name}: out of memory", file=sys.stderr)
        code = 2
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
    if not isinstance(text, str):  # The parser passes the default through here as well.
        return text
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parts:
        message = f"expected names with commas between them, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return parts
