"""How far a long work has come: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.text import clock

_SECONDS_A_LINE = 30.0


@contextmanager
def progress(
    doing: str, unit: str, *, total: int, done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Shows how much of a work is done, and how long the rest takes.

    Args:
        doing: What is done, such as `computing features`.
        unit: What it is counted in, such as `frame`.
        total: How much there is.
        done: How much of it was done before.

    Yields:
        What is called with how much more is done.
    """
    from tqdm import tqdm  # Classifying has no bar, and does without the package.

    before, count, start = done, done, time.monotonic()
    said = start

    with tqdm(desc=doing, total=total, initial=done, unit=unit, leave=False, disable=None) as bar:

        def advance(more: int) -> None:
            nonlocal count, said
            bar.update(more)
            count, now = count + more, time.monotonic()
            if bar.disable and now - said >= _SECONDS_A_LINE and count < total:
                left = clock((now - start) / (count - before) * (total - count))
                print(f"{doing}: {count:,} of {total:,} {unit}s, {left} left", flush=True)
                said = now

        yield advance
