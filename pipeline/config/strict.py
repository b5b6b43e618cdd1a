"""Values of a file as those that a program was written for: nothing missing, unknown or cast."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.config.checks import expect
from pipeline.errors import ConfigError, check_known

T = TypeVar("T")

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def strictly(kind: type[T], value: object, name: str) -> T:
    """A value of a JSON file as the type that it must be of.

    Args:
        kind: `bool`, `int`, `float`, `str`, a `Literal`, `X | Y`, `tuple[X, ...]`, `tuple[X, Y]`,
            or a dataclass of these, whose keys must all be there, or which is one already; it
            checks ranges itself.
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
    if origin in (Union, types.UnionType):
        return _one_of(kind, value, name)
    if origin is tuple:
        many = arguments[1:] == (...,)
        good = isinstance(value, list | tuple) and (many or len(value) == len(arguments))
        expect(good, f"{name}: expected {_in_words(kind)}", value)
        kinds = arguments[:1] * len(value) if many else arguments
        return tuple(map(_convert, kinds, value, [name] * len(value)))
    if origin is Mapping:
        expect(isinstance(value, Mapping), f"{name}: expected keys and values", value)
        return {key: _convert(arguments[1], each, f"{name}.{key}") for key, each in value.items()}
    if kind is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if origin is Literal:
        good = isinstance(value, str) and value in arguments
    else:
        good = type(value) is kind and (kind is not float or math.isfinite(value))
    expect(good, f"{name}: expected {_in_words(kind)}", value)
    return value


def _one_of(kind: Any, value: Any, name: str) -> Any:
    kinds = [each for each in get_args(kind) if each is not types.NoneType]
    if value is None and len(kinds) < len(get_args(kind)):
        return None
    for each in kinds[:-1]:
        with contextlib.suppress(ConfigError):
            return _convert(each, value, name)
    try:
        return _convert(kinds[-1], value, name)
    except ConfigError:
        expect(len(kinds) == 1, f"{name}: expected {_in_words(kind)}", value)
        raise


def _in_words(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(arguments)}"
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(each) for each in arguments if each is not types.NoneType)
    if origin is not tuple:
        return _WORDS[kind]
    if get_origin(arguments[0]) is tuple or ... not in arguments:
        return 'pairs, such as [["left", "right"]]'
    example = "[16, 32]" if arguments[0] is int else '["a", "b"]'
    return f"a list in brackets, such as {example}"


def _dataclass(kind: Any, value: Any, name: str) -> Any:
    if isinstance(value, kind):
        return value
    expect(isinstance(value, Mapping), f"{name or 'the file'}: expected keys and values", value)
    hints, prefix = get_type_hints(kind), f"{name}." if name else ""
    keys = [field.name for field in dataclasses.fields(kind)]
    check_known(value, keys, name or "the file")
    for key in keys:
        if key not in value:
            raise ConfigError(f"{prefix}{key} is missing")
    return kind(**{key: _convert(hints[key], value[key], prefix + key) for key in keys})
