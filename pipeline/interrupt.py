"""Ctrl-C ends a script with one word and exit code 130, also while it still imports.

`pipeline.cli.script` imports this before all else of the package.
"""

from __future__ import annotations

import contextlib
import os
import sys
from types import TracebackType
from typing import Final, NoReturn

_SHOW: Final = sys.excepthook
_SHOW_IGNORED: Final = sys.unraisablehook
"""What was there before, such as that of whoever runs tests; it shows all other errors."""


def leave_interrupted() -> NoReturn:
    """Leaves at once: threads that decode a long video would be waited for."""
    with contextlib.suppress(OSError):
        print("interrupted", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(130)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        leave_interrupted()
    _SHOW(kind, error, trace)


def _report_ignored(ignored: sys.UnraisableHookArgs) -> None:
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        leave_interrupted()
    _SHOW_IGNORED(ignored)


sys.excepthook = _report
sys.unraisablehook = _report_ignored  # of a callback, of which an import has many
