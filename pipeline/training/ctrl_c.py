"""Ctrl-C in a training: taken between steps, where no library can lose it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class CtrlC:
    """Whether Ctrl-C was pressed, for a training that looks between its steps.

    Attributes:
        pressed: Whether it was.
    """

    def __init__(self) -> None:
        self.pressed = False

    def raise_if_pressed(self) -> None:
        """Raises `KeyboardInterrupt` if it was."""
        if self.pressed:
            raise KeyboardInterrupt


@contextmanager
def ctrl_c_between_steps() -> Iterator[CtrlC]:
    """Within it the first Ctrl-C is noted alone; the second raises at once.

    An exception that comes up while TensorFlow calls back into Python, as it does all through the
    first step, may be printed, dropped or made into another one. The last is mended here as well.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    ctrl_c = CtrlC()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield ctrl_c
        return

    def press(number: int, frame: FrameType | None) -> None:
        if ctrl_c.pressed:
            before(number, frame)
        ctrl_c.pressed = True

    signal.signal(signal.SIGINT, press)
    try:
        yield ctrl_c
    except Exception:
        if ctrl_c.pressed:
            raise KeyboardInterrupt from None
        raise
    else:
        ctrl_c.raise_if_pressed()  # after the last step
    finally:
        signal.signal(signal.SIGINT, before)
