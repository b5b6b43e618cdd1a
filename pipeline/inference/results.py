"""A table of what files show, which goes on where it was stopped."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.prediction import Prediction
from pipeline.locks import alone

_FOUND = ("label", "probability", "max_logit", "num_frames", "duration_seconds", "damaged")
COLUMNS = ("path", "model", *_FOUND, "error")
_HEADER = dict(zip(COLUMNS, COLUMNS, strict=True))


@contextmanager
def open_results(path: Path, model: str) -> Iterator[ResultFile]:
    """Opens a table of results of a model, a `Classifier.fingerprint`, for this process alone.

    Raises:
        ConfigError: Another process has it open, or the file holds something else, or results of
            another model.
    """
    with alone(path, "adding results to", "name another file (--out)"):
        results = ResultFile(path, model)
        try:
            yield results
        finally:
            results.leave_latest()


class ResultFile:
    """A table of results of one model, CSV, to which each is added when it is there.

    It is opened by `open_results`; what an earlier run wrote into it stays and is not done again.
    Paths in it are absolute; what of a name is not UTF-8 is there as an escape.

    Attributes:
        done: Paths of the videos, as in the table, that have an answer in it; those with an error
            are tried again.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model
        rows = self._read()
        if any(row["model"] != model for row in rows):
            raise ConfigError(f"--out: {path} holds results of another model. Name another file")
        self.done = {row["path"] for row in rows if not row["error"]}
        self._write(rows)

    def to_do(self, paths: Sequence[str]) -> list[str]:
        """Those of some video files that have no answer yet."""
        return [path for path in paths if _path_cell(path) not in self.done]

    def add(self, path: str, outcome: Prediction | VideoDecodeError) -> None:
        """Adds a line; it is on the disk when this returns. The last one of a video counts."""
        row: dict[str, Any] = {"path": _path_cell(path), "model": self._model}
        if isinstance(outcome, VideoDecodeError):
            row["error"] = outcome.reason
        else:
            row |= {name: getattr(outcome, name) for name in _FOUND}
            row["probability"] = f"{outcome.probability:.4f}"
            row["max_logit"] = f"{outcome.max_logit:.4f}"
            row["duration_seconds"] = f"{outcome.duration_seconds:.3f}"
        with self._path.open("ab") as file:
            file.write(_lines([row]))

    def leave_latest(self) -> None:
        """Leaves one line a video, the last one: an error goes where another outcome came."""
        self._write(self._read())

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        with atomic_write(self._path) as file:
            file.write(_lines([_HEADER, *rows]))

    def _read(self) -> list[dict[str, str]]:
        if not self._path.exists():
            return []
        whole, end, _ = self._path.read_bytes().rpartition(b"\n")  # The last line may be cut off.
        try:
            reader = csv.DictReader(io.StringIO((whole + end).decode(), newline=""))
            rows = list(reader)
        except (UnicodeDecodeError, csv.Error):
            raise self._no_table() from None
        if tuple(reader.fieldnames or ()) != COLUMNS or any(None in row for row in rows):
            raise self._no_table()
        return [*{row["path"]: row for row in rows if row["error"] is not None}.values()]

    def _no_table(self) -> ConfigError:
        return ConfigError(
            f"--out: {self._path} is no table of results, or of another version. Name another file"
        )


def _path_cell(path: str) -> str:
    absolute = os.path.abspath(path)  # noqa: PTH100  # without ..
    return absolute.encode(errors="backslashreplace").decode()


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.DictWriter(text, COLUMNS).writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")
