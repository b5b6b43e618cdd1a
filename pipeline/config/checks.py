"""What a value of the configuration must be, and what is said where it is not."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.text import nearest

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
    """Makes sure of what a value must be.

    Raises:
        ConfigError: It is not; with the message and the value.
    """
    if not condition:
        raise ConfigError(f"{message}. Received: {shown(received)}")


def expect_range(value: float, name: str, low: float, high: float) -> None:
    """Makes sure that a number is not below `low` and not above `high`.

    Raises:
        ConfigError: It is.
    """
    expect(low <= value <= high, f"{name} must be from {low} to {high}", value)


def expect_share(value: float, name: str) -> None:
    """Makes sure that a number is at least 0 and below 1.

    Raises:
        ConfigError: It is not.
    """
    expect(0 <= value < 1, f"{name} must be from 0 to below 1", value)


def expect_at_least(value: float, name: str, low: float) -> None:
    """Makes sure that a number is finite and not below `low`.

    Raises:
        ConfigError: It is not.
    """
    expect(low <= value < math.inf, f"{name} must be at least {low}", value)


def expect_above_0(value: float, name: str) -> None:
    """Makes sure that a number is finite and above 0.

    Raises:
        ConfigError: It is not.
    """
    expect(0 < value < math.inf, f"{name} must be above 0", value)


def expect_folder_of(file: Path, name: str) -> None:
    """Makes sure, before work begins, that the folder of a file to be written is there.

    Raises:
        ConfigError: It is not.
    """
    if not file.parent.is_dir():
        raise ConfigError(f"{name}: the folder {file.parent} does not exist; create it first")


def check_known(names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuses the first name that is not known.

    Raises:
        ConfigError: It gives the nearest known name.
    """
    known = list(known)
    for name in names:
        if name not in known:
            inner = [each for each in known if each.startswith(f"{name}.")]
            guess = " or ".join(inner) if 0 < len(inner) < 3 else nearest(name, inner or known)
            raise ConfigError(f"{where}: unknown {name}. Did you mean {guess}?")
