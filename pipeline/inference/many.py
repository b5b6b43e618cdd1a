"""Classifying many files: decoding goes on while the model runs."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.data.files import VIDEO_SUFFIXES, visible_files
from pipeline.data.frames import encode_video
from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.inference.classifier import Classifier, Prediction
from pipeline.text import without_secrets

Outcome = tuple[str, Prediction | VideoDecodeError]

_FOUND = ("label", "probability", "evidence", "num_frames", "duration_seconds", "damaged")
COLUMNS = ("path", "model", *_FOUND, "error")


def find_videos(names: Sequence[str]) -> list[str]:
    """The files that names stand for, each once, in the order of the names.

    Args:
        names: Files; folders, of which all videos are taken by their suffixes, nested ones as
            well; and patterns, such as `clips/**/*.mp4`, of which none may be a file itself.

    Raises:
        DataError: A folder or a pattern has no videos, or a name is empty or an address.
    """
    found: list[str] = []
    for name in names:
        if not name:
            raise DataError("expected the name of a file or a folder, got an empty one")
        path = Path(name)
        if "://" in name and not path.exists():
            raise DataError(f"{without_secrets(name)}: an address; scripts/stream.py takes those")
        if path.is_dir():
            files = [file for file in visible_files(path) if file.suffix.lower() in VIDEO_SUFFIXES]
            matches = sorted(str(path / file) for file in files)
        elif not path.exists() and any(sign in name for sign in "*?["):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  # absolute ones, too
        else:
            matches = [name]
        if not matches:
            raise DataError(f"{name}: no videos there")
        found += matches
    return list(dict.fromkeys(found))


def predict_many(
    classifier: Classifier, paths: Sequence[str], *, top: int = 5, workers: int = 0
) -> Iterator[Outcome]:
    """Classifies files in their order; while the model runs, the next ones are decoded.

    Args:
        classifier: The run.
        paths: Video files.
        top: Number of classes to report, at least 1.
        workers: Threads that decode; 0 is one per processor core.

    Yields:
        Each path with its prediction, or with the reason why there is none. Closing the generator
        does not wait for the files that are being decoded.

    Raises:
        ConfigError: `top` is below 1.
    """
    workers = workers or os.cpu_count() or 1
    remaining = iter(paths)
    pool = ThreadPoolExecutor(workers)

    def submit(path: str) -> tuple[str, Future[Any]]:
        return path, pool.submit(encode_video, path, classifier.bundle.frames)

    try:
        # So few that the memory does not depend on how many files there are.
        waiting = deque(submit(path) for path in itertools.islice(remaining, 2 * workers))
        while waiting:
            path, decoded = waiting.popleft()
            try:
                images, info = decoded.result()
                yield path, classifier.predict_images(images, info, top=top)
            except VideoDecodeError as error:
                yield path, error
            waiting.extend(submit(path) for path in itertools.islice(remaining, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class ResultFile:
    """A table of results of one model, CSV, to which each is added when it is there.

    Paths in it are absolute; what of a name is not UTF-8 is there as an escape.

    Args:
        path: The file. What an earlier run wrote into it stays and is not done again.
        model: The `Classifier.fingerprint`.

    Attributes:
        done: Paths of the videos, as in the table, that have an answer in it; those with an error
            are tried again.

    Raises:
        ConfigError: The file holds something else, or results of another model.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model
        rows = self._read()
        if any(row["model"] != model for row in rows):
            raise ConfigError(f"--out: {path} holds results of another model. Name another file")
        self.done = {row["path"] for row in rows if not row["error"]}
        self._failed = {row["path"] for row in rows} - self.done
        self._write(rows)

    def to_do(self, paths: Sequence[str]) -> list[str]:
        """Those of some video files that have no answer yet."""
        return [path for path in paths if _path_cell(path) not in self.done]

    def add(self, path: str, outcome: Prediction | VideoDecodeError) -> None:
        """Adds a line, in place of an earlier error; it is on the disk when this returns."""
        row: dict[str, Any] = {"path": _path_cell(path), "model": self._model}
        if isinstance(outcome, VideoDecodeError):
            row["error"] = outcome.reason
        else:
            row |= {name: getattr(outcome, name) for name in _FOUND}
            row["probability"] = f"{outcome.probability:.4f}"
            row["evidence"] = f"{outcome.evidence:.4f}"
            row["duration_seconds"] = f"{outcome.duration_seconds:.3f}"
        if row["path"] in self._failed:
            self._write([*(each for each in self._read() if each["path"] != row["path"]), row])
        else:
            with self._path.open("ab") as file:
                file.write(_lines([row]))

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        header = dict(zip(COLUMNS, COLUMNS, strict=True))
        with atomic_write(self._path) as file:
            file.write(_lines([header, *rows]))

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
        return [row for row in rows if row["error"] is not None]

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
