"""Making data sets in miniature, laid out as they lie on disk after the download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., Path]:
    """Makes empty files below the temporary folder and returns the folder."""

    def touch(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return touch


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines into a file below the temporary folder and returns the file."""

    def write(name: str, *lines: str, newline: str = "\n") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes("".join(line + newline for line in lines).encode())
        return file

    return write


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at videos, preparing and rendering them starts no processes, which take long to."""
    for module in ("workers.pool", "prepare.decode_all", "sources.demo.render"):
        monkeypatch.setattr(f"pipeline.{module}.run_in_workers", run_here)


def run_here(work: Callable, tasks: Sequence, **options: Any) -> list:
    """What `run_in_workers` does, without workers, where a task is one video if errors cost it."""
    results, names = [], []
    for task in tasks:
        try:
            results.append(work(task, names.append))
        except Exception as error:
            if isinstance(error, options.get("fatal", Exception)):
                raise
            rest = options["on_loss"](task, names[-1], getattr(error, "reason", error))
            results.append(work(rest, names.append))
    return results
