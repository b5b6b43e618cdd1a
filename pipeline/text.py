"""Wording that messages share."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

_SECRETS: Final = (
    (re.compile(r"://.*@"), "://***@"),  # a password may hold any sign
    (
        re.compile(
            r"([?&;][^=&;\s]*(?:user|login|pass|pwd|token|key|secret|auth|sig)[^=&;\s]*=)"
            r"[^&;#\s]*",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)


def without_secrets(text: str) -> str:
    """The name of a source, or a text with one in it, as it may be seen: without credentials.

    Example:
        >>> without_secrets("rtsp://ann:pass@camera/1?channel=2&pwd=pass")
        'rtsp://***@camera/1?channel=2&pwd=***'
    """
    if "://" in text:
        for pattern, shown in _SECRETS:
            text = pattern.sub(shown, text)
    return text


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s unless there is one.

    Example:
        >>> counted(1, "group"), counted(1200, "video")
        ('1 group', '1,200 videos')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], *, most: int = 5) -> str:
    """The first few names, with commas; an ellipsis stands for the others.

    Example:
        >>> listed("abc", most=2)
        'a, b, ...'
    """
    names = list(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like a mistyped one.

    Example:
        >>> nearest("smal", ["demo", "small"])
        'small'
    """
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def one_line(text: object) -> str:
    """What is said over several lines, as one."""
    return " ".join(str(text).split())
