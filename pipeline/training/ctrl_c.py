"""Ctrl-C while Keras trains: taken between steps, where no library can lose it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras


class CtrlC(keras.callbacks.Callback):
    """Raises `KeyboardInterrupt` at the end of a step, or of an epoch, in which Ctrl-C was pressed.

    Attributes:
        pressed: Whether it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pressed = False

    def raise_if_pressed(self, *_: Any, **__: Any) -> None:
        """Raises `KeyboardInterrupt` if it was."""
        if self.pressed:
            raise KeyboardInterrupt

    on_train_batch_end = on_test_batch_end = on_epoch_end = raise_if_pressed


@contextmanager
def ctrl_c_between_steps() -> Iterator[CtrlC]:
    """Within it the first Ctrl-C raises by the callback alone; the second raises at once.

    An exception that comes up while TensorFlow calls back into Python, as it does all through the
    first step, may be printed, dropped or made into another one. The last is mended here as well.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    callback = CtrlC()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield callback
        return

    def press(number: int, frame: FrameType | None) -> None:
        if callback.pressed:
            before(number, frame)
        callback.pressed = True

    signal.signal(signal.SIGINT, press)
    try:
        yield callback
    except Exception:
        if callback.pressed:
            raise KeyboardInterrupt from None
        raise
    else:
        callback.raise_if_pressed()  # after the last step
    finally:
        signal.signal(signal.SIGINT, before)
