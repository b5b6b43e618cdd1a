"""Classifying many files: decoding goes on while the model runs."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.atomic import atomic_write
from pipeline.data.files import VIDEO_SUFFIXES, visible_files
from pipeline.data.frames import encode_video
from pipeline.errors import ConfigError, DataError, VideoDecodeError
from pipeline.inference.classifier import Classifier, Prediction

Outcome = tuple[str, Prediction | VideoDecodeError]

COLUMNS = ("path", "label", "probability", "num_frames", "duration_seconds", "damaged", "error")


def find_videos(names: Sequence[str]) -> list[str]:
    """The files that names stand for, in the order of the names.

    Args:
        names: Files; folders, of which all videos are taken by their suffixes, nested ones as
            well; and patterns, such as `clips/**/*.mp4`, of which none may be a file itself.

    Raises:
        DataError: A folder or a pattern has no videos.
    """
    found: list[str] = []
    for name in names:
        path = Path(name)
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
    return found


def predict_many(
    classifier: Classifier, paths: Sequence[str], *, top: int = 5, workers: int = 0
) -> Iterator[Outcome]:
    """Classifies files in their order; while the model runs, the next ones are decoded.

    Args:
        classifier: The run.
        paths: Video files.
        top: Number of classes to report.
        workers: Threads that decode; 0 is one per processor core.

    Yields:
        Each path with its prediction, or with the reason why there is none.
    """
    workers = workers or os.cpu_count() or 1
    remaining = iter(paths)
    with ThreadPoolExecutor(workers) as pool:

        def submit(path: str) -> tuple[str, Future[Any]]:
            return path, pool.submit(encode_video, path, classifier.bundle.frames)

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


class ResultFile:
    """A table of results, CSV, to which each is added when it is there.

    Args:
        path: The file. What an earlier run wrote into it stays and is not done again.

    Attributes:
        done: Paths that it holds already; those with an error are tried again.

    Raises:
        ConfigError: The file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        rows = self._read()
        kept = [row for row in rows if not row["error"]]
        self.done = {row["path"] for row in kept}
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(kept)
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())

    def add(self, path: str, outcome: Prediction | VideoDecodeError) -> None:
        """Adds a line, which is on the disk when this returns."""
        row: dict[str, Any] = {"path": path}
        if isinstance(outcome, VideoDecodeError):
            row["error"] = outcome.reason
        else:
            row |= {name: getattr(outcome, name) for name in COLUMNS[1:-1]}
            row["probability"] = f"{outcome.probability:.4f}"
            row["duration_seconds"] = f"{outcome.duration_seconds:.3f}"
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerow(row)

    def _read(self) -> list[dict[str, str]]:
        if not self._path.exists():
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ConfigError(f"--out: {self._path} is no table of results. Name another file")
        return [row for row in rows if row["error"] is not None]  # The last line may be cut off.
