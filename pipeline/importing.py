"""Importing TensorFlow, which takes seconds and says what nobody asked for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.native_log import silent_native_log


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
