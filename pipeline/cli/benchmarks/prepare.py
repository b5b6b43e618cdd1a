"""Speed and memory of preparing videos, by one worker and by two."""

import dataclasses
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
from pipeline.manifest.rows import Row
from pipeline.prepare.plan import REPORTS, ShardTask, SourceVideo
from pipeline.prepare.rate import MOST_FPS
from pipeline.prepare.shard_workers import write_locally
from pipeline.prepare.shard_writer import write_shard
from pipeline.video import probe

EXPLANATION = """\
Frames of the files per second, from file to shard: decoded, resized to {size} x {size} at
{fps:g} frames per second of video, JPEG, written. The best of {repeats} runs.

  prepare  pipeline.prepare.shard_writer.write_shard, per CPU second
  ffmpeg   ffmpeg -threads 1 -i PATH -f null - : decoded only, per CPU second
  ratio    prepare / ffmpeg
  memory   peak of a process that prepares this file alone
"""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and measures."""
    parser = Parser("From files to shards, against ffmpeg.", "benchmark prepare", "VIDEO")
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


def _task(paths: Sequence[str], folder: str, config: PrepareConfig, name: str = "x") -> ShardTask:
    sources = [
        SourceVideo(
            row=Row(path=str(Path(path).absolute()), label="a", group="g", split="train"),
            file=f"{number} {Path(path).name}",
        )
        for number, path in enumerate(paths)
    ]
    return ShardTask(
        folder=folder,
        name=name,
        split="train",
        sources=tuple(sources),
        class_names=("a",),
        frames=config.frames,
    )


def _prepare(path: str, config: PrepareConfig) -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / REPORTS).mkdir()
        return write_shard(_task([path], folder, config)).videos[0].decoded_frames


def _workers_rate(paths: Sequence[str], workers: int, config: PrepareConfig, repeats: int) -> float:
    """Frames per second of all files, several shards of each, by some workers."""
    config = dataclasses.replace(config, workers=workers)
    calls = [partial(_write, paths, config, num_shards) for num_shards in (4, 12)]
    (short, few), (long, many) = (min(runs) for runs in in_turn(calls, repeats))
    # The difference is free of what starting the workers takes.
    return (many - few) / (long - short)


def _write(paths: Sequence[str], config: PrepareConfig, num_shards: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / REPORTS).mkdir()
        tasks = [_task(paths, folder, config, str(number)) for number in range(num_shards)]
        reports = write_locally(tasks, config)
    return sum(video.decoded_frames for report in reports for video in report.videos)


def _peak_memory(path: str) -> float:
    """Megabytes of a process of its own."""
    imports = """from pipeline.cli.benchmarks.prepare import _prepare
from pipeline.config.prepare import PrepareConfig"""
    work = "_prepare(sys.argv[1], PrepareConfig(source='folder', path='-', out='-', fps=15))"
    return statistics.median(apart(imports, work, path)[1] for _ in range(3))
