"""Command lines on which every key of a configuration can be set."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pipeline.cli.script import Parser
from pipeline.config import BackboneConfig, RunConfig, expect
from pipeline.config.file import (
    as_flat,
    expect_new_keys,
    flatten,
    known_keys,
    load_config,
    preset_names,
    with_values,
)
from pipeline.config.prepare import OPTIONS
from pipeline.config.values import described, strictly
from pipeline.errors import ConfigError, DataError
from pipeline.prepare.ensure import source_of
from pipeline.prepare.prepared import read_state
from pipeline.streams import STREAMS
from pipeline.text import one_line

_DEMO_DATA = "data/demo"
_NEVER_SET = ("frames", "model.background")
"""What of a run is read from its data set."""
_BY_STREAM = "backbones"
"""The part that has options for the streams that are named."""


class ConfigParser(Parser):
    """A parser with an option for each key of a configuration; its docstring is the help."""

    def __init__(self, description: str, name: str, example: str) -> None:
        super().__init__(description, name, example)
        self.usage = "%(prog)s [OPTIONS]"  # All of them by name fill a page.

    def add_fields(self, dataclass: type[Any]) -> None:
        """Adds an option for each field of a flat dataclass."""
        fields = {field.name: field for field in dataclasses.fields(dataclass)}
        for name, kind, text in described(dataclass):
            option = f"--{name.replace('_', '-')}"
            if fields[name].metadata == OPTIONS:
                self.hold_options.add(option)
            if kind is bool:
                self.add_argument(option, action="store_true", help=text.replace("%", "%%"))
            else:
                _add(self, option, kind, text, fields[name].default)

    def add_run_config(self, arguments: Sequence[str]) -> None:
        """Adds `--config` and every key of a run; the values of the named config are defaults.

        Without `--config` it is that of the data, see `usual_preset`.
        """
        words = [word.split("=")[0] for word in arguments]
        expect_new_keys([word[2:] for word in words if word.startswith("--")], "command line")
        chooser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
        chooser.add_argument("--config")
        chooser.add_argument("--data", default=_DEMO_DATA)
        try:
            chosen = chooser.parse_known_args(list(arguments))[0]
        except argparse.ArgumentError as error:
            raise ConfigError(one_line(error)) from None
        config = chosen.config or usual_preset(chosen.data)
        self.add_argument(
            "--config",
            help=f"A preset ({', '.join(preset_names())}) or TOML file; default: for other data "
            "than the demo's, small, or recordings where it holds recordings.",
        )
        run = load_config(config)
        self._add_tree(RunConfig, as_flat(run))
        for stream in STREAMS:
            prefix = f"backbone.{stream}."
            if stream in run.backbones or any(each.startswith(f"--{prefix}") for each in arguments):
                own = run.backbones.get(stream, BackboneConfig())
                values = flatten(dataclasses.asdict(own), prefix)
                self._add_tree(BackboneConfig, values, prefix, f"Of the stream {stream} alone.")

    def _add_tree(
        self, dataclass: Any, defaults: dict[str, Any], prefix: str = "", title: str = ""
    ) -> None:
        """Adds the keys of a dataclass in a group of their own, then those of its parts."""
        fields = list(described(dataclass))
        group = self.add_argument_group(prefix.rstrip(".") or "the run", title or None)
        for name, kind, text in fields:
            is_set = name != _BY_STREAM and prefix + name not in _NEVER_SET
            if not dataclasses.is_dataclass(kind) and is_set:
                key = f"{prefix}{name}"
                option = key if prefix else key.replace("_", "-")
                _add(group, f"--{option}", kind, text, defaults[key])
        for name, kind, text in fields:
            if dataclasses.is_dataclass(kind) and prefix + name not in _NEVER_SET:
                self._add_tree(kind, defaults, f"{prefix}{name}.", text)


def usual_preset(data: str) -> str:
    """The preset for a data set where none is named."""
    folder = Path(data)
    demos = {Path("data") / name: name for name in ("demo", "demo_recordings")}
    if folder in demos:
        return demos[folder]
    with suppress(DataError):
        if read_state(folder).get("labelling") == "frames":
            return "recordings"
    return "recordings" if source_of(folder) == "events" else "small"


def run_config(options: argparse.Namespace) -> RunConfig:
    """The run that was parsed.

    Raises:
        ConfigError: Its values do not go together, or some are of a stream that it does not have.
    """
    values = vars(options)
    keys = [key for key in known_keys() if key in values]
    config = with_values(RunConfig(), {key: values[key] for key in keys}, "command line")
    in_file = load_config(options.config).backbones if options.config else ()
    for stream in config.backbones:
        source = options.config if stream in in_file else "command line"
        expect(
            stream in config.model.streams,
            f"{source}: backbone.{stream} has no effect without {stream} in model.streams",
            list(config.model.streams),
        )
    return config


def _add(parser: Any, option: str, kind: Any, text: str, default: Any) -> None:
    choices = ("true", "false") if kind is bool else get_args(kind)
    is_choice = kind is bool or get_origin(kind) is Literal
    name = option.rpartition(".")[2].strip("-").replace("-", "_").upper()
    action = parser.add_argument(
        option,
        type=partial(_value, kind, option),
        default=default,
        metavar=f"{{{','.join(choices)}}}" if is_choice else name,
        help=text.replace("%", "%%"),
    )
    if is_choice:
        action.completer = lambda **_: choices


def _value(kind: Any, name: str, text: str) -> Any:
    """A word of a command line as a value of a configuration, written as in TOML.

    Raises:
        ConfigError: It is not of the type.
    """
    if kind == tuple[str, ...]:
        value: Any = _comma_separated(text, name)
    else:
        value = text if kind is str else _number_or_list(text)
    return strictly(kind, value, name)


def _number_or_list(text: str) -> Any:
    for read in (_toml, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _toml(text: str) -> Any:
    (value,) = tomllib.loads(f"value = {text}").values()
    return value


def _comma_separated(text: str, name: str) -> list[str]:
    """Names with commas between them, in brackets or not; one with a comma in it is quoted."""
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    cells = next(csv.reader([inside], skipinitialspace=True), [])
    parts = [cell.strip() for cell in cells if cell.strip()]
    if not parts:
        raise ConfigError(f"{name}: expected names with commas between them, got {text!r}")
    return parts
