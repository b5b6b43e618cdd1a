"""Wording that messages share."""

from __future__ import annotations

import difflib
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
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
    """The first few names, `visible`, with commas; an ellipsis stands for the others.

    Example:
        >>> listed("abc", most=2)
        'a, b, ...'
    """
    names = list(names)
    return ", ".join(map(visible, names[:most])) + (", ..." if len(names) > most else "")


def suggestion(name: str, known: Iterable[str], show: Callable[[str], str] = str) -> str:
    """What to say of an unknown name: the known one that it is much like, or which there are.

    Example:
        >>> suggestion("smal", ["demo", "small"]), suggestion("x", ["demo", "small"])
        ('Did you mean small?', 'Expected one of demo, small')
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean {show(near[0])}?"
    return f"Expected one of {listed(map(show, known), most=20)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like a mistyped one.

    Example:
        >>> nearest("smal", ["demo", "small"])
        'small'
    """
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def command(*words: object) -> str:
    """A command line of this program as whoever runs it can type it, quoted for a shell.

    Args:
        words: The name of the command, and its arguments.

    Example:
        >>> command("export", "runs/my run")
        "clipline export 'runs/my run'"
    """
    name, *others = map(str, words)
    script = Path(sys.argv[0]).with_name(f"{name}.py") if Path(sys.argv[0]).name else Path()
    if script.parent.name == "scripts" and script.is_file():  # from a clone
        return shlex.join(["python", str(script), *others])
    return shlex.join(["clipline", name, *others])


def extra(name: str) -> str:
    """The way to install what an extra of this package needs.

    Example:
        >>> extra("onnx")
        "in the clone of Clipline, pip install -e '.[onnx]'"
    """
    return f"in the clone of Clipline, pip install -e '.[{name}]'"


def one_line(text: object) -> str:
    """A text of several lines as one."""
    return " ".join(str(text).split())


# Controls of terminals, ends of lines, and what turns the direction of writing around.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_MARKUP = re.compile(r"[\\`*_\[\]<>&|~$#]")


def visible(text: object, *, but: str = "") -> str:
    r"""Text in which each control character, such as those that command a terminal, is written out.

    Args:
        text: A name, or lines with names in them.
        but: Control characters that stay.

    Returns:
        The text; as in JSON, whose strings stay what they are.

    Example:
        >>> print(visible("\x1b[31mred\n"))
        \u001b[31mred\u000a
    """
    return _UNSEEN.sub(
        lambda found: found[0] if found[0] in but else f"\\u{ord(found[0]):04x}", str(text)
    )


def markdown(text: object) -> str:
    r"""Text that is shown as it is in a line or a cell of Markdown, whatever is in it.

    Example:
        >>> print(markdown("![a](b) <c>"))
        !\[a\](b) \<c\>
    """
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def code(name: object) -> str:
    """A name as code in a line of Markdown, which no backtick in it ends.

    Example:
        >>> code("a.mp4"), code("a`b")
        ('`a.mp4`', '`` a`b ``')
    """
    shown = visible(name)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{shown}{space}{fence}"


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    Example:
        >>> clock(75.25), clock(3675.0), clock(59.96)
        ('1:15.2', '1:01:15.0', '1:00.0')
    """
    minutes, rest = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02d}" if hours else f"{minutes}"
    return f"{f'{hours}:' if hours else ''}{clock}:{rest / 10:04.1f}"
