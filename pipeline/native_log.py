"""Keeping what libraries write straight to standard error off the terminal."""

from __future__ import annotations

import logging
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


def import_tensorflow() -> None:
    """Imports TensorFlow with oneDNN, without its notes about its build, GPUs and traced functions.

    TensorFlow itself takes oneDNN only on processors with AVX512-VNNI or AMX. With AVX2 alone, a
    training step of the network of `clipline benchmark step` takes 0.45 of the time with it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with silent_native_log(), _hidden("sklearn", "matplotlib"):
        import tensorflow  # noqa: F401
    # Of many models, one after the other, each is traced by itself.
    logging.getLogger("tensorflow").addFilter(_is_no_note)


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Within it, what was not imported yet is as if it were not installed.

    Keras imports scikit-learn and Matplotlib where it finds them, for what Clipline does not use:
    a third of the time that importing it takes.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _is_no_note(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()
