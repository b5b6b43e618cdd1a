"""Keeping what libraries write straight to standard error off the terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0  # calls that are within it, of all threads
_kept = -1  # where file descriptor 2 led before the first of them


@contextmanager
def silent_native_log() -> Iterator[None]:
    """Drops what is written to file descriptor 2 meanwhile, by this process or a library in it.

    TensorFlow and LiteRT tell of their build, of GPUs and of delegates there, past every setting
    of a log level. Python's own errors are raised, not written, and so are not lost. Several
    threads may be within it; what the descriptor was comes back with the last one.
    """
    global _depth, _kept
    with _lock:
        if not _depth:
            sys.stderr.flush()
            _kept = os.dup(2)
            with open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), 2)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if not _depth:
                os.dup2(_kept, 2)
                os.close(_kept)


def drop_native_log() -> None:
    """Drops it until this process ends; what Python writes to `sys.stderr` is written as before.

    Of several workers, TensorFlow tells of each that ends, also when all is done.
    """
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
