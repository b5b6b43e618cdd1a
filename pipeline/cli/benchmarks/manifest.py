"""Time and memory to read, split, check and plan a table of many videos."""

import csv
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.cli.script import Parser, positive
from pipeline.config.prepare import PrepareConfig
from pipeline.manifest.rows import read_csv
from pipeline.manifest.split import choose_split
from pipeline.prepare.leaks import crossing, random_split
from pipeline.prepare.plan import SourceVideo, plan_files
from pipeline.text import counted

Result = TypeVar("Result")


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser(
        "A table of many videos, read and split.", "benchmark manifest", "--rows 100000"
    )
    parser.add_argument("--rows", type=positive, default=1_000_000, help="Videos in it.")
    parser.add_argument("--groups", type=positive, default=100_000, help="Groups of them.")
    parser.add_argument("--classes", type=positive, default=400, help="Classes of them.")
    options = parser.parse(arguments)
    measure_manifest(options.rows, groups=options.groups, classes=options.classes)


def measure_manifest(num_rows: int, *, groups: int, classes: int) -> None:
    """Prints the seconds of each step, and the peak of memory at the end."""
    videos = f"{num_rows:,} videos, {counted(groups, 'group')}, {classes:,} classes"
    print(f"{videos}, of which no file is opened\n")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "videos.csv"
        write_table(table, num_rows, groups, classes)
        config = PrepareConfig(source="csv", path=str(table), out="-", val_fraction=0.1)
        started = time.perf_counter()
        manifest = _timed("read", lambda: read_csv(table))
        split = _timed("split by group", lambda: choose_split(manifest, config))
        _timed("check for leaks", lambda: crossing(split.rows))
        _timed("compare with a random split", lambda: random_split(split.rows))
        sources = [SourceVideo(row=row, file=row.path) for row in split.rows]
        _timed("plan what to decode", lambda: _plan(sources, config, Path(folder)))
        unit = 1e9 if sys.platform == "darwin" else 1e6
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        print(f"{'all':30} {time.perf_counter() - started:6.1f} s   peak memory {memory:.2f} GB")


def write_table(path: Path, num_rows: int, groups: int, classes: int) -> None:
    """Writes a table of videos that are not there."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group"))
        for row in range(num_rows):
            group, label = rng.randrange(groups), rng.randrange(classes)
            name = f"class {label:04d}/video_{group:07d}_{row:07d}.mp4"
            writer.writerow((name, f"class {label:04d}", f"person {group:07d}"))


def _plan(sources: Sequence[SourceVideo], config: PrepareConfig, folder: Path) -> int:
    _, tasks = plan_files(sources, {}, folder, frames=config.stored)
    return len(tasks)


def _timed(step: str, work: Callable[[], Result]) -> Result:
    started = time.perf_counter()
    result = work()
    print(f"{step:30} {time.perf_counter() - started:6.1f} s", flush=True)
    return result
