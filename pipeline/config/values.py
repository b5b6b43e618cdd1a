"""What values of settings may be: their types and ranges, for all ways in, with one message each.

A range stands in the type of a field, as `Annotated[int, Range(1, 512)]`. `check_ranges` checks it
where a dataclass is made; `strictly` makes one of what a file, a request or a command line holds,
of which nothing is missing, unknown or cast; `described` tells both in help and in the docs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import reprlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pipeline.errors import ConfigError, check_known
from pipeline.text import one_line

T = TypeVar("T")

MANY: Final = 1_000_000
"""More than a run can use of anything that is counted; far below where numbers overflow."""

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 20


def shown(value: object) -> str:
    """A value that was received, as Python writes it; of a long one, both ends.

    Example:
        >>> shown("xyz"), shown(10**60)
        ("'xyz'", '100000000000000000...0000000000000000000')
    """
    return _SHORT.repr(value)


def expect(condition: bool, message: str, received: object) -> None:
    """Raises a `ConfigError` with a message and what was received, unless all is well."""
    if not condition:
        raise ConfigError(f"{message}. Received: {shown(received)}")


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a value may be; NaN and infinity are in none.

    Attributes:
        low: The least, or the end that it must be above.
        high: The largest, or the end that it must be below; infinite: there is none.
        is_above: Whether `low` itself is left out.
        is_below: Whether `high` itself is left out.

    Example:
        >>> Range(1, 512).text, Range(0, 1, is_below=True).text, Range(0, is_above=True).text
        ('from 1 to 512', 'from 0 to below 1', 'above 0')
    """

    low: float
    high: float = math.inf
    is_above: bool = False
    is_below: bool = False

    @property
    def text(self) -> str:
        """In words."""
        if self.high == math.inf:
            return f"{'above' if self.is_above else 'at least'} {self.low}"
        if self.is_above:
            return f"above {self.low}, at most {self.high}"
        return f"from {self.low} to {'below ' if self.is_below else ''}{self.high}"

    def check(self, value: float, name: str) -> None:
        """Makes sure that a value is in it.

        Raises:
            ConfigError: It is not.
        """
        is_high = self.low < value if self.is_above else self.low <= value
        ends = self.is_below or self.high == math.inf
        is_low = value < self.high if ends else value <= self.high
        expect(is_high and is_low, f"{name} must be {self.text}", value)


SHARE: Final = Range(0, 1, is_below=True)
PROBABILITY: Final = Range(0, 1)
POSITIVE: Final = Range(0, is_above=True)
NOT_NEGATIVE: Final = Range(0)

Share = Annotated[float, SHARE]
Probability = Annotated[float, PROBABILITY]
Positive = Annotated[float, POSITIVE]
NotNegative = Annotated[float, NOT_NEGATIVE]
Seed = Annotated[int, Range(0, 2**32 - 1)]


@functools.cache
def ranges_of(kind: Any) -> Mapping[str, Range]:
    """The ranges that stand in the types of a dataclass, by field."""
    hints = get_type_hints(kind, include_extras=True)
    pairs = ((name, each) for name, hint in hints.items() for each in get_args(hint)[1:])
    return {name: each for name, each in pairs if isinstance(each, Range)}


def check_ranges(settings: object, named: Callable[[str], str]) -> None:
    """Makes sure that the numbers of a dataclass, or each of several, are in their ranges.

    Args:
        settings: The dataclass.
        named: What a field is called in a message, by its name.

    Raises:
        ConfigError: One is not.
    """
    kind: Any = type(settings)
    for name, allowed in ranges_of(kind).items():
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float):
                allowed.check(number, named(name))


def described(kind: Any) -> Iterator[tuple[str, Any, str]]:
    """The name, the type and the meaning of each field of a dataclass, with its range."""
    import docstring_parser

    documentation = docstring_parser.parse(kind.__doc__ or "")
    texts = {each.arg_name: one_line(each.description) for each in documentation.params}
    hints, ranges = get_type_hints(kind), ranges_of(kind)
    for field in dataclasses.fields(kind):
        name, hint = field.name, hints[field.name]
        words = ranges[name].text if name in ranges else ""
        words = f"strength {words}" if words and dataclasses.is_dataclass(hint) else words
        more = f" {words.capitalize()}." if words else ""
        yield name, hint, f"{texts[name]}{more}"


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
