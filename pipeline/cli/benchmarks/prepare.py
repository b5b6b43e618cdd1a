"""Speed and memory of preparing videos, by one worker and by two."""

import dataclasses
import itertools
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.cli.benchmarks.decode import Decode, best, run_ffmpeg
from pipeline.cli.benchmarks.measuring import apart, in_turn
from pipeline.cli.script import Parser, positive
from pipeline.config.prepare import PrepareConfig
from pipeline.frames.decoding import DecodeTask, decode_file
from pipeline.prepare.decode_all import decode_locally
from pipeline.prepare.rate import MOST_FPS
from pipeline.video import probe

EXPLANATION = """\
Frames of the files per second, from file to chunks: decoded, resized to {size} x {size} at
{fps:g} frames per second of video, JPEG, written. The best of {repeats} runs.

  prepare  pipeline.frames.decoding.decode_file, per CPU second
  ffmpeg   ffmpeg -threads 1 -i PATH -f null - : decoded only, per CPU second
  ratio    prepare / ffmpeg
  memory   peak of a process that prepares this file alone
"""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser("From files to stored frames, against ffmpeg.", "benchmark prepare", "VIDEO")
    parser.add_argument("paths", nargs="+", metavar="VIDEO", help="Video files.")
    parser.add_argument("--repeats", type=positive, default=3, help="Runs; the best counts.")
    measure_preparation(**vars(parser.parse(arguments)))


def measure_preparation(paths: Sequence[str], *, repeats: int) -> None:
    """Prints a row for each video, then one worker against two over all of them."""
    for path in paths:
        probe(path)  # says at once what cannot be read
    config = PrepareConfig(source="folder", path="-", out="-", fps=MOST_FPS)
    print(EXPLANATION.format(size=config.size, fps=config.fps, repeats=repeats))
    width = max(len(Path(path).name) for path in paths)
    print(f"{'':{width}} {'frames':>8} {'prepare':>8} {'ffmpeg':>8} {'ratio':>6} {'memory':>9}")
    for path in paths:
        _print_row(path, width, config, repeats)
    one, two = (_workers_rate(paths, workers, config, repeats) for workers in (1, 2))
    print(f"\none worker   {one:8,.0f} frames per second, its start not counted")
    print(f"two workers  {two:8,.0f}   {two / one:.2f} times")


def _print_row(path: str, width: int, config: PrepareConfig, repeats: int) -> None:
    programs: list[Decode] = [partial(_prepare, config=config)]
    if shutil.which("ffmpeg"):
        programs.append(run_ffmpeg)
    (seconds, frames), *decoded = best(path, programs, repeats)
    cells = [f"{frames:8,}", f"{frames / seconds:8,.0f}", f"{'-':>8}", f"{'':6}"]
    if decoded:
        rate = decoded[0][1] / decoded[0][0]
        cells[2:] = [f"{rate:8,.0f}", f"{frames / seconds / rate:6.2f}"]
    print(f"{Path(path).name:{width}} {' '.join(cells)} {_peak_memory(path):6.1f} MB", flush=True)


def _task(path: str, folder: Path, config: PrepareConfig) -> DecodeTask:
    folder.mkdir(exist_ok=True)
    return DecodeTask(path=path, name=str(folder), folder=str(folder), frames=config.stored)


def _prepare(path: str, config: PrepareConfig) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return decode_file(_task(path, Path(folder), config)).num_frames or 0


def _workers_rate(paths: Sequence[str], workers: int, config: PrepareConfig, repeats: int) -> float:
    """Frames per second of all files, several times each, by some workers."""
    config = dataclasses.replace(config, workers=workers)
    calls = [partial(_decode, paths, config, times) for times in (4, 12)]
    (short, few), (long, many) = (min(runs) for runs in in_turn(calls, repeats))
    # The difference is free of what starting the workers takes.
    return (many - few) / (long - short)


def _decode(paths: Sequence[str], config: PrepareConfig, times: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        places = itertools.product(paths, range(times))
        tasks = [
            _task(path, Path(folder) / str(number), config)
            for number, (path, _) in enumerate(places)
        ]
        reports = decode_locally(tasks, config)
    return sum(report.num_frames or 0 for report in reports)


def _peak_memory(path: str) -> float:
    """Megabytes of a process of its own."""
    imports = """from pipeline.cli.benchmarks.prepare import _prepare
from pipeline.config.prepare import PrepareConfig"""
    work = "_prepare(sys.argv[1], PrepareConfig(source='folder', path='-', out='-', fps=15))"
    return statistics.median(apart(imports, work, path)[1] for _ in range(3))
