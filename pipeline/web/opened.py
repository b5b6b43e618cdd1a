"""The runs of a workspace that can classify, opened one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from pipeline.errors import DataError
from pipeline.inference.classifier import Classifier
from pipeline.inference.decoding import Decoder
from pipeline.run import RUNS, Run


class Opened(NamedTuple):
    """A run that is ready to classify, and what reads files for it in a process of its own."""

    run: Run
    classifier: Classifier
    decoder: Decoder


class OpenedRuns:
    """The runs of a workspace; a context manager. Threads may share it: they take turns.

    Args:
        root: The folder of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._decoder = Decoder()
        self._opened: tuple[str, Classifier] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.stop()
        with self._lock:
            self._decoder.close()

    def names(self) -> list[str]:
        """Names of the runs that can classify, the latest first."""
        found = [each for each in (self._root / RUNS).glob("*") if _can_classify(Run(each))]
        return [each.name for each in sorted(found, key=lambda each: -each.stat().st_mtime)]

    def named(self, name: str) -> Run:
        """A run that can classify.

        Raises:
            DataError: There is none of that name.
        """
        if name not in self.names():
            raise DataError(f"{name}: there is no such run that can classify. Train one")
        return Run(self._root / RUNS / name)

    @contextmanager
    def use(self, name: str) -> Iterator[Opened]:
        """Gives a run for as long as this lasts.

        Raises:
            DataError: There is no such run, or it cannot be used.
        """
        run = self.named(name)
        with self._lock:
            yield Opened(run, self._classifier(run), self._decoder)

    def _classifier(self, run: Run) -> Classifier:
        mark = f"{run.folder} {run.folder.stat().st_mtime_ns}"
        if not self._opened or self._opened[0] != mark:
            self._opened = mark, Classifier(run)
        return self._opened[1]


def _can_classify(run: Run) -> bool:
    return run.bundle_file.is_file() or run.fusion_file.is_file()
