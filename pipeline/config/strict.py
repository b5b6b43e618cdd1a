"""Values of a file as those that a program was written for: nothing missing, unknown or cast."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pipeline.config.checks import check_known, expect
from pipeline.errors import ConfigError

T = TypeVar("T")

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def strictly(kind: type[T], value: object, name: str) -> T:
    """A value of a JSON file as the type that it must be of.

    Args:
        kind: `bool`, `int`, `float`, `str`, a `Literal`, `X | None`, `tuple[X, ...]`, or a
            dataclass of these, whose keys must all be there; it checks ranges itself.
        value: What the file holds.
        name: Of the value, for messages; empty for the whole file.

    Raises:
        ConfigError: It is of another type or out of range, or a key is missing or unknown.

    Example:
        >>> strictly(tuple[str, ...], ["walk", "run"], "class_names")
        ('walk', 'run')
        >>> strictly(int, True, "views")
        Traceback (most recent call last):
        pipeline.errors.ConfigError: views: expected a whole number. Received: True
    """
    return _convert(kind, value, name)


def _convert(kind: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, name)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _convert(arguments[0], value, name)
    if origin is Literal:
        good = isinstance(value, str) and value in arguments
        expect(good, f"{name}: expected one of {', '.join(arguments)}", value)
        return value
    if origin is tuple:
        expect(isinstance(value, list), f"{name}: expected a list", value)
        return tuple(_convert(arguments[0], each, name) for each in value)
    if kind is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    good = type(value) is kind and (kind is not float or math.isfinite(value))
    expect(good, f"{name}: expected {_WORDS[kind]}", value)
    return value


def _dataclass(kind: Any, value: Any, name: str) -> Any:
    expect(isinstance(value, Mapping), f"{name or 'the file'}: expected keys and values", value)
    hints, prefix = get_type_hints(kind), f"{name}." if name else ""
    keys = [field.name for field in dataclasses.fields(kind)]
    check_known(value, keys, name or "the file")
    for key in keys:
        if key not in value:
            raise ConfigError(f"{prefix}{key} is missing")
    return kind(**{key: _convert(hints[key], value[key], prefix + key) for key in keys})
