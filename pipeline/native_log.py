"""Keeping what native libraries write straight to standard error off the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_native_log() -> Iterator[None]:
    """Drops what is written to file descriptor 2 meanwhile, by this process or a library in it.

    TensorFlow and LiteRT tell of their build, of GPUs and of delegates there, past every setting
    of a log level. Python's own errors are raised, not written, and so are not lost.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def import_tensorflow() -> None:
    """Imports TensorFlow without the notes that it prints about its build and missing GPUs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_native_log():
        import tensorflow  # noqa: F401
