"""Videos and tables that several modules make or read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.run import Run
from pipeline.video import iter_frames, write_video

GOOD = ["a.avi", "b.avi", "inner/c.AVI", "inner/d.avi"]
BAD = ["empty.mp4", "text.mp4"]
"""What is in the fixture `folder`, in the order in which it is found: `paths(folder, NAMES)`."""
NAMES = ["a.avi", "b.avi", "empty.mp4", "inner/c.AVI", "inner/d.avi", "text.mp4"]


def paths(folder: Path, names: Iterable[str]) -> list[str]:
    return [str(folder / name) for name in names]


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predictions_of(run: Run) -> list[dict[str, str]]:
    """What evaluation said of each test video."""
    return rows(run.report / "test_predictions.csv")


def write_cut(folder: Path) -> Path:
    """A file without its second half."""
    path = folder / "cut.avi"
    noise = np.random.default_rng(0).integers(256, size=(60, 32, 32, 3), dtype=np.uint8)
    write_video(path, noise, fps=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def write_joined(path: Path, videos: Path, names: Iterable[str]) -> Path:
    """Videos of a folder, one after the other, without losses."""
    frames = [frame for name in names for frame in iter_frames(videos / name)]
    write_video(path, frames, fps=10, codec="FFV1")
    return path
