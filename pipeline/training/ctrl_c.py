"""Ctrl-C that is not lost, should a library swallow the exception or make another of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras


class CtrlC(keras.callbacks.Callback):
    """Raises `KeyboardInterrupt` at the end of a step if Ctrl-C was pressed before.

    Attributes:
        pressed: Whether it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pressed = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """See the class."""
        if self.pressed:
            raise KeyboardInterrupt


@contextmanager
def remembered_ctrl_c() -> Iterator[CtrlC]:
    """Within it, Ctrl-C raises as ever, and a callback raises once more if that went nowhere.

    An error that a library made of it counts as Ctrl-C, too.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    callback = CtrlC()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield callback
        return

    def press(number: int, frame: FrameType | None) -> None:
        callback.pressed = True
        before(number, frame)

    signal.signal(signal.SIGINT, press)
    try:
        yield callback
    except Exception:
        if callback.pressed:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)
