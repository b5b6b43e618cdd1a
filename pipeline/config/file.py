"""Run configurations as TOML: presets, files, overrides.

A configuration starts from the defaults of `pipeline.config`, takes what a preset
(`pipeline/config/presets`) or a TOML file says, then overrides. A run stores the whole tree.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from argparse import ArgumentError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from jsonargparse import ArgumentParser

from pipeline.atomic import atomic_write
from pipeline.config import RunConfig
from pipeline.config.checks import check_known
from pipeline.errors import ConfigError
from pipeline.text import nearest, one_line

PRESETS = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """Names that `--config` takes besides the path of a TOML file."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_flat(source: str | Path) -> dict[str, Any]:
    """Reads a preset by name, or a TOML file by path: values by dotted key.

    Raises:
        ConfigError: There is no such preset or file, or it is not TOML.
    """
    presets = preset_names()
    path = PRESETS / f"{source}.toml" if str(source) in presets else Path(source)
    try:
        return flatten(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise ConfigError(
            f"config {str(source)!r} is neither a preset ({', '.join(presets)}) nor a TOML file "
            f"that can be read. Did you mean {nearest(str(source), presets)}?"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: expected sections and values, got them nested deep") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None


def load_config(source: str | Path, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Makes the configuration of a run.

    Args:
        source: A preset or a TOML file.
        overrides: Values by dotted key, which win.

    Raises:
        ConfigError: The file cannot be read, or a key or value is not allowed.

    Example:
        >>> load_config("demo", {"temporal.units": 32}).temporal.units
        32
    """
    return _from_flat(read_flat(source) | dict(overrides or {}), str(source))


def with_values(config: RunConfig, values: Mapping[str, Any], source: str) -> RunConfig:
    """A configuration with other values.

    Args:
        config: The configuration.
        values: By dotted key.
        source: Where they come from, for messages.

    Raises:
        ConfigError: A key or value is not allowed.

    Example:
        >>> with_values(RunConfig(), {"temporal.units": 8}, "here").temporal.units
        8
    """
    return _from_flat(flatten(dataclasses.asdict(config)) | dict(values), source)


def differing(one: RunConfig, other: RunConfig) -> list[str]:
    """Dotted keys of the values in which two configurations differ.

    Example:
        >>> differing(RunConfig(seed=1), RunConfig(data="data/x"))
        ['data', 'seed']
    """
    first, second = (flatten(dataclasses.asdict(config)) for config in (one, other))
    return [key for key in first if first[key] != second[key]]


def _from_flat(values: Mapping[str, Any], source: str) -> RunConfig:
    check_known(values, flatten(dataclasses.asdict(RunConfig())), source)
    for key, value in values.items():
        if _is_huge(value):
            raise ConfigError(f"{source}: {key}: expected numbers of less than 64 bits")
    parser = _parser()
    try:
        namespace = parser.parse_object(dict(values))
    except ArgumentError as error:
        raise ConfigError(f"{source}: {reworded(error)}") from None
    return RunConfig(**vars(parser.instantiate(namespace)))


def _is_huge(value: Any) -> bool:
    """Whether there is a number that TOML has no place for, and floats may have none."""
    if isinstance(value, list | tuple):
        return any(map(_is_huge, value))
    return isinstance(value, int) and value.bit_length() > 63


@functools.cache
def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig, nested_key=None)
    return parser


def save_config(config: RunConfig, path: Path) -> None:
    """Writes the whole configuration as TOML."""
    with atomic_write(path) as file:
        file.write(tomli_w.dumps(dataclasses.asdict(config)).encode())


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one dictionary by dotted key.

    Example:
        >>> flatten({"seed": 1, "temporal": {"units": 8}})
        {'seed': 1, 'temporal.units': 8}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


_KINDS = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "above 0": "a whole number above 0",
    "<class 'bool'>": "true or false",
    "<class 'tuple'>": "a list in brackets, such as [16, 32]",
    "tuple with 2 elements": 'pairs, such as [["left", "right"]]',
}


_WORDINGS = {
    r"Not of type PositiveInt: (?:invalid literal[^']*)?'?([^ ']*).*": (
        r"Expected a above 0. Got value: \1"
    ),
    r"Does not validate against any of the Union .*: \[(.*)\] Errors: .*value: (.*)": (
        r"Expected a \1. Got value: \2"
    ),
}
"""How the parser puts it in other cases, as it does in most."""


def reworded(error: Exception) -> str:
    r"""What the parser says of a wrong value, in words that need no Python.

    Example:
        >>> reworded(ValueError("Parser key \"seed\": Expected a <class 'int'>. Got value: x"))
        "seed: expected a whole number. Received: 'x'"
    """
    text = one_line(error)
    for pattern, plain in _WORDINGS.items():
        text = re.sub(pattern, plain, text)
    wrong = re.fullmatch(r'Parser key "(\S+)": Expected a (.+?)\. Got value: (.*)', text)
    if not wrong:
        return text
    key, kind, value = wrong.groups()
    parts = re.findall(r"typing\.Literal\[[^]]*\]|<class '\w+'>|above 0", kind) or [kind]
    return f"{key}: expected {' or '.join(map(_in_words, parts))}. Received: {value!r}"


def _in_words(kind: str) -> str:
    choices = re.fullmatch(r"typing\.Literal\[(.*)\]", kind)
    return f"one of {choices[1]}" if choices else _KINDS.get(kind, kind)
