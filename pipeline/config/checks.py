"""Checks of configuration values, with their messages."""

from __future__ import annotations

import math
import reprlib
from pathlib import Path

from pipeline.atomic import expect_writable
from pipeline.errors import ConfigError

MANY = 1_000_000
"""More than a run can use of anything that is counted; far below where numbers overflow."""

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


def expect_range(value: float, name: str, low: float, high: float) -> None:
    """Raises a `ConfigError` unless a number is from `low` to `high`."""
    expect(low <= value <= high, f"{name} must be from {low} to {high}", value)


def expect_share(value: float, name: str) -> None:
    """Raises a `ConfigError` unless a number is at least 0 and below 1."""
    expect(0 <= value < 1, f"{name} must be from 0 to below 1", value)


def expect_at_least(value: float, name: str, low: float) -> None:
    """Raises a `ConfigError` unless a number is finite and at least `low`."""
    expect(low <= value < math.inf, f"{name} must be at least {low}", value)


def expect_above_0(value: float, name: str) -> None:
    """Raises a `ConfigError` unless a number is finite and above 0."""
    expect(0 < value < math.inf, f"{name} must be above 0", value)


def expect_output(file: Path, name: str) -> None:
    """Raises a `ConfigError`, before work begins, if a file cannot be written."""
    if not file.parent.is_dir():
        raise ConfigError(f"{name}: the folder {file.parent} does not exist; create it first")
    try:
        expect_writable(file)
    except OSError as error:
        raise ConfigError(
            f"{name}: {file} cannot be written: {error.strerror}. Make sure that the folder can be "
            "written, or name a file in another one"
        ) from None
