"""Rules for the names of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.errors import DataError
from pipeline.text import listed

UNKNOWN = "unknown"
"""The answer to what shows none of the classes."""

_LONGEST = 200


def check_class_names(names: Sequence[str]) -> None:
    """Makes sure that lists, tables and terminals can hold the names, and that each is one class.

    Raises:
        DataError: A name is empty, longer than 200 characters, there twice or `unknown`; has spaces
            around it; or holds line breaks or other characters that do not print.
    """
    for name in names:
        if name == UNKNOWN:
            raise DataError(
                f"expected no class {name!r}, which is the answer to what shows none of the "
                "classes. Rename its folder, or its label in the table"
            )
        if not name or name != name.strip() or not name.isprintable():
            raise DataError(
                "expected class names that print, without line breaks, and without spaces around "
                f"them, got {name!r}. Rename the class"
            )
        if len(name) > _LONGEST:
            raise DataError(
                f"expected class names of at most {_LONGEST} characters, got one of {len(name)}, "
                f"{name[:40]!r}... Rename the class"
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"expected each class name once, got twice: {listed(twice)}")
