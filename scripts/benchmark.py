"""Measures how fast the parts are, side by side with what one would compare them with."""

import argparse
import math
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from pipeline.cli import run_script
from pipeline.video import iter_frames, probe


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("decode", help="Video frames per second of CPU time.")
    command.add_argument("paths", nargs="+", metavar="PATH", help="Video files.")
    command.add_argument("--size", type=int, default=112, help="Frames become SIZE x SIZE.")
    command.add_argument("--repeats", type=int, default=5, help="Runs of each; the best counts.")
    command.set_defaults(run=decode)

    options = vars(parser.parse_args(arguments))
    options.pop("run")(**options)


def decode(paths: Sequence[str], size: int, repeats: int) -> None:
    """Compares the reader with OpenCV's plain read loop and with ffmpeg, on one thread each."""
    print(f"Frames per second of CPU time, user and system; best of {repeats} runs.")
    print(f"reader: decoded, resized to {size} x {size}, RGB. OpenCV: decoded. Both open the file.")
    print("ffmpeg: decoded again and again for a second or so, less its start; once: all it takes.")
    row = "{:<48} {:>7} {:>7} {:>7} {:>7} {:>12} {:>10}".format
    print(row("", "reader", "OpenCV", "ffmpeg", "once", "reader/ffmpeg", "reader/once"))
    for path in paths:
        info = probe(path, count_frames=True)
        seconds = min(own_seconds(lambda p=path: read(p, size)) for _ in range(repeats))
        reader = info.num_frames / seconds
        plain = info.num_frames / min(
            own_seconds(lambda p=path: read_plainly(p)) for _ in range(repeats)
        )
        cells = [f"{reader:.0f}", f"{plain:.0f}"]
        if shutil.which("ffmpeg"):
            ffmpeg = ffmpeg_rate(path, repeats, loops=math.ceil(1 / seconds))
            once = ffmpeg_rate(path, repeats)
            cells += [
                f"{ffmpeg:.0f}",
                f"{once:.0f}",
                f"{reader / ffmpeg:.2f}",
                f"{reader / once:.2f}",
            ]
        name = f"{Path(path).name[:30]} {info.width}x{info.height} {info.codec}"
        print(row(name, *cells, *[""] * (6 - len(cells))), flush=True)


def read(path: str, size: int) -> None:
    for _ in iter_frames(path, size=(size, size)):
        pass


def read_plainly(path: str) -> None:
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while capture.read()[0]:
        pass


def own_seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def ffmpeg_rate(path: str, repeats: int, *, loops: int = 0) -> float:
    """Frames per CPU second; if the file is decoded in a loop, the start does not count."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-progress", "-", "-stream_loop", str(loops)]
    command += ["-threads", "1", "-i", path, "-an", "-fps_mode", "passthrough", "-f", "null", "-"]
    seconds, output = min(child_seconds(command) for _ in range(repeats))
    if loops:
        seconds -= min(child_seconds(["ffmpeg", "-version"]) for _ in range(repeats))[0]
    return int(re.findall(r"frame=(\d+)", output)[-1]) / seconds


def child_seconds(command: Sequence[str]) -> tuple[float, str]:
    """CPU time and output of a program."""
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        result.stdout,
    )


if __name__ == "__main__":
    run_script(main)
