"""Frames decoded in a second of CPU time: by the reader, OpenCV's plain loop and ffmpeg."""

import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2

from pipeline.cli.benchmarks.measuring import cpu_seconds, in_turn
from pipeline.cli.script import Parser, positive
from pipeline.errors import PipelineError
from pipeline.video import iter_frames, probe

Decode = Callable[[str], int]
"""Decodes a file; returns the number of frames."""

EXPLANATION = """\
Frames per second of CPU time (user and system), one decoding thread; the best of {repeats} runs.

  reader   pipeline.video.iter_frames: decoded, resized to {size} x {size}, RGB
  OpenCV   the plain loop on VideoCapture.read(): decoded, BGR
  grab     the same loop on VideoCapture.grab(): decoded, not converted
  ffmpeg   ffmpeg -threads 1 -i PATH -f null - : decoded, not converted to RGB
  whole    the file once: starts of processes, opening and decoding
  steady   decoding alone: the file many times in a row less the file once
  ratio    reader / ffmpeg
  frame    microseconds of a steady frame: decoding (grab), conversion to BGR (OpenCV less grab),
           and the rest of the reader, which is shrinking above all
"""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and compares."""
    parser = Parser("The video reader against OpenCV and ffmpeg.", "benchmark decode", "VIDEO")
    parser.add_argument("paths", nargs="+", metavar="VIDEO", help="Video files.")
    parser.add_argument("--size", type=positive, default=112, help="Frames become SIZE x SIZE.")
    parser.add_argument("--repeats", type=positive, default=5, help="Runs; the best counts.")
    compare_readers(**vars(parser.parse(arguments)))


def compare_readers(paths: Sequence[str], *, size: int, repeats: int) -> None:
    """Prints a table with a row for each video."""
    infos = [probe(path, count_frames=True) for path in paths]
    print(EXPLANATION.format(size=size, repeats=repeats))
    names = [Path(path).name for path in paths]
    width = max(map(len, names))
    group = "{:>8} {:>8} {:>8} {:>8} {:>6}".format
    columns = group("reader", "OpenCV", "grab", "ffmpeg", "ratio")
    print(f"{'':{width}} {' whole ':-^42}    {' steady ':-^42}")
    print(f"{'':{width}} {columns}    {columns}    {'frame':>20}")
    programs: list[Decode] = [partial(read, size=size), read_plainly, grab]
    if shutil.which("ffmpeg"):
        programs.append(run_ffmpeg)
    for path, name, info in zip(paths, names, infos, strict=True):
        print(f"{name:{width}} ", end="", flush=True)
        whole = [frames / seconds for seconds, frames in best(path, programs, repeats)]
        print(group(*_cells(whole)), end="    ", flush=True)
        steady = steady_rates(path, programs, repeats)
        print(group(*_cells(steady)), _parts(steady), sep="    ")
        print(f"  {info.codec} {info.width}x{info.height}, {info.num_frames} frames", flush=True)


def _cells(rates: Sequence[float]) -> list[str]:
    cells = [f"{rate:,.0f}" for rate in rates]
    ratio = f"{rates[0] / rates[3]:.2f}" if len(rates) > 3 else ""
    return [*cells, *["-"] * (4 - len(cells)), ratio]


def _parts(rates: Sequence[float]) -> str:
    """The time of a frame, by step."""
    if not rates:
        return ""
    reader, converted, decoded = (1e6 / rate for rate in rates[:3])
    parts = decoded, converted - decoded, reader - converted
    return f"{' + '.join(f'{part:,.0f}' for part in parts):>20}"


def steady_rates(path: str, programs: Sequence[Decode], repeats: int) -> list[float]:
    """Frames per CPU second of each program, once it runs; none without ffmpeg to copy the file."""
    if run_ffmpeg not in programs:
        return []
    with tempfile.TemporaryDirectory() as folder:
        once, row = (f"{folder}/{name}{Path(path).suffix}" for name in ("once", "row"))
        ((seconds, _),) = best(path, [partial(read, size=112)], repeats=1)
        for copy, loops in ((once, 0), (row, math.ceil(0.5 / seconds))):
            ffmpeg("-stream_loop", str(loops), "-i", path, "-map", "0:v:0", "-c", "copy", copy)
        pairs = zip(best(row, programs, repeats), best(once, programs, repeats), strict=True)
        return [(many - few) / (long - short) for (long, many), (short, few) in pairs]


def best(path: str, programs: Sequence[Decode], repeats: int) -> list[tuple[float, int]]:
    """CPU seconds and frames of the fastest run of each program."""
    calls = [partial(program, path) for program in programs]
    return [min(runs) for runs in in_turn(calls, repeats, clock=cpu_seconds)]


def read(path: str, *, size: int) -> int:
    """Decodes a file with the reader of this package."""
    return sum(1 for _ in iter_frames(path, size=(size, size)))


def read_plainly(path: str) -> int:
    """Decodes a file with `VideoCapture.read`."""
    capture = _opened(path)
    return sum(1 for _ in iter(lambda: capture.read()[0], False))


def grab(path: str) -> int:
    """Decodes a file with `VideoCapture.grab`."""
    return sum(1 for _ in iter(_opened(path).grab, False))


def _opened(path: str) -> cv2.VideoCapture:
    return cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def run_ffmpeg(path: str) -> int:
    """Decodes a file with ffmpeg."""
    log = ffmpeg("-threads", "1", "-i", path, "-f", "null", "-")
    return int(re.findall(r"frame=\s*(\d+)", log)[-1])


def ffmpeg(*arguments: str) -> str:
    """Runs ffmpeg; returns what it wrote to standard error."""
    command = ["ffmpeg", "-nostdin", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise PipelineError(f"{' '.join(command)} failed: {done.stderr.splitlines()[-1]}")
    return done.stderr
