"""Things of which each serves one thread at a time, as many as threads need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import LifoQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Spares(Generic[T]):
    """Several of a kind: one more is made whenever a thread finds none free.

    There are no more than processor cores; who comes then waits.

    Args:
        make: Makes one.
        first: The first one.
    """

    def __init__(self, make: Callable[[], T], first: T) -> None:
        self._make = make
        # The last one in is the first one out: one is made only while all others are busy.
        self._free: LifoQueue[T | None] = LifoQueue()
        for _ in range(1, os.cpu_count() or 1):
            self._free.put(None)
        self._free.put(first)

    @contextmanager
    def borrowed(self) -> Iterator[T]:
        """One that no other thread uses meanwhile."""
        one = self._free.get()
        try:
            one = one if one is not None else self._make()
            yield one
        finally:
            self._free.put(one)
