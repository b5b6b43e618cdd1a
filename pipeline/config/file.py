"""Run configurations as TOML: presets, files, overrides.

A configuration starts from the defaults of `pipeline.config`, takes what a preset
(`pipeline/config/presets`) or a TOML file says, then overrides. A run stores the whole tree.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import tomli_w

from pipeline.atomic import atomic_write
from pipeline.config import BackboneConfig, RunConfig
from pipeline.config.values import strictly
from pipeline.errors import ConfigError, check_known
from pipeline.streams import STREAMS
from pipeline.text import suggestion

PRESETS = Path(__file__).parent / "presets"

_RENAMED: Final = {
    "model.input": 'model.streams, such as ["rgb", "flow"]',
    "train.accumulate": "train.gradient_accumulation_steps",
    "train.averaging": "train.ema_momentum",
    "train.keep": "train.checkpoint",
}


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
        values = flatten(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError:
        raise ConfigError(
            f"config {str(source)!r} is neither a preset nor a TOML file that can be read. "
            + suggestion(str(source), presets)
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: expected sections and values, got them nested deep") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    expect_new_keys(values, str(path))
    return _with_empty_tables(values, str(source))


def expect_new_keys(keys: Iterable[str], source: str) -> None:
    """Makes sure that no key has a name of before.

    Raises:
        ConfigError: One has; the message says the new one.
    """
    for key in keys:
        if key in _RENAMED:
            raise ConfigError(f"{source}: {key} is now {_RENAMED[key]}")


def _with_empty_tables(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The values, with the defaults of a stream's backbone in place of its empty table."""
    known = known_keys()
    sections = {key[:place] for key in known for place, sign in enumerate(key) if sign == "."}
    empty = [key for key, value in values.items() if value == {} and key not in known]
    check_known(empty, sorted(sections), source)
    own = {f"backbone.{stream}": _own(stream) for stream in STREAMS}
    filled = {key: value for key, value in values.items() if key not in empty}
    for key in empty:
        filled |= own.get(key, {})
    return filled


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
    """A configuration with other values, by dotted key; `source` is where they come from.

    Raises:
        ConfigError: A key or value is not allowed.

    Example:
        >>> with_values(RunConfig(), {"temporal.units": 8}, "here").temporal.units
        8
    """
    return _from_flat(as_flat(config) | dict(values), source)


def differing(one: RunConfig, other: RunConfig) -> list[str]:
    """Dotted keys of the values in which two configurations differ.

    Example:
        >>> differing(RunConfig(seed=1), RunConfig(data="data/x"))
        ['data', 'seed']
    """
    first, second = as_flat(one), as_flat(other)
    return [key for key in first | second if first.get(key) != second.get(key)]


def as_flat(config: RunConfig) -> dict[str, Any]:
    """All values of a configuration by dotted key, those of `[backbone.STREAM]` as well.

    Example:
        >>> as_flat(RunConfig(backbones={"flow": BackboneConfig(grid=2)}))["backbone.flow.grid"]
        2
    """
    return flatten(_tree(config))


def _tree(config: RunConfig) -> dict[str, Any]:
    tree = dataclasses.asdict(config)
    tree["backbone"] |= tree.pop("backbones")
    return tree


def known_keys() -> list[str]:
    """Every dotted key that there can be."""
    return [*as_flat(RunConfig()), *(key for stream in STREAMS for key in _own(stream))]


def _own(stream: str) -> dict[str, Any]:
    """The defaults of the backbone of one stream."""
    return flatten(dataclasses.asdict(BackboneConfig()), f"backbone.{stream}.")


def _from_flat(values: Mapping[str, Any], source: str) -> RunConfig:
    check_known(values, known_keys(), source)
    for key, value in values.items():
        if _is_huge(value):
            raise ConfigError(f"{source}: {key}: expected numbers of less than 64 bits")
    try:
        return strictly(RunConfig, _whole(values), "")
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _whole(values: Mapping[str, Any]) -> dict[str, Any]:
    """A tree with a value for every field."""
    own = [stream for stream in STREAMS if any(key in values for key in _own(stream))]
    defaults = as_flat(RunConfig())
    for stream in own:
        defaults |= _own(stream)
    tree = _nested({**defaults, **values})
    tree["backbones"] = {
        stream: _own_backbone(stream, tree["backbone"].pop(stream)) for stream in own
    }
    return tree


def _own_backbone(stream: str, values: Mapping[str, Any]) -> BackboneConfig:
    try:
        return strictly(BackboneConfig, values, "backbone")
    except ConfigError as error:  # which knows it as that of all streams
        raise ConfigError(str(error).replace("backbone.", f"backbone.{stream}.")) from None


def _is_huge(value: Any) -> bool:
    """Whether there is a number that TOML has no place for, and floats may have none."""
    if isinstance(value, list | tuple):
        return any(map(_is_huge, value))
    return isinstance(value, int) and value.bit_length() > 63


def save_config(config: RunConfig, path: Path) -> None:
    """Writes the whole configuration as TOML."""
    with atomic_write(path) as file:
        file.write(tomli_w.dumps(_tree(config)).encode())


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one dictionary by dotted key; an empty one stays as it is.

    Example:
        >>> flatten({"seed": 1, "temporal": {"units": 8}})
        {'seed': 1, 'temporal.units': 8}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `flatten`."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, name = key.split(".")
        part = tree
        for section in sections:
            part = part.setdefault(section, {})
        part[name] = value
    return tree
