"""Measures how fast the parts are, side by side with what one would compare them with."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from pipeline.cli import import_tensorflow, run_script
from pipeline.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:  # noqa: D102
        raise ConfigError(message)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def main(arguments: Sequence[str]) -> None:
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("decode", help="The video reader against OpenCV and ffmpeg.")
    command.add_argument("paths", nargs="+", metavar="PATH", help="Video files.")
    command.add_argument("--size", type=positive, default=112, help="Frames become SIZE x SIZE.")
    command.add_argument("--repeats", type=positive, default=5, help="Runs; the best counts.")
    command.set_defaults(run=decode)

    command = commands.add_parser("step", help="A training step against Keras' TimeDistributed.")
    command.add_argument("--batch-size", type=positive, default=8, help="Clips in a step.")
    command.add_argument("--frames", type=positive, default=16, help="Of a clip, at least 4.")
    command.add_argument("--size", type=positive, default=64, help="Height and width of a frame.")
    command.add_argument("--repeats", type=positive, default=10, help="Steps; the median counts.")
    command.set_defaults(run=step)

    command = commands.add_parser("prepare", help="From files to shards, against ffmpeg.")
    command.add_argument("paths", nargs="+", metavar="PATH", help="Video files.")
    command.add_argument("--repeats", type=positive, default=3, help="Runs; the best counts.")
    command.set_defaults(run=prepare)

    command = commands.add_parser("manifest", help="A table of many videos, read and split.")
    command.add_argument("--rows", type=positive, default=1_000_000, help="Videos in it.")
    command.add_argument("--groups", type=positive, default=100_000, help="Groups of them.")
    command.add_argument("--classes", type=positive, default=400, help="Classes of them.")
    command.set_defaults(run=manifest)

    options = vars(parser.parse_args(arguments))
    options.pop("run")(**options)


def decode(paths: Sequence[str], size: int, repeats: int) -> None:
    from benchmarks.decode import compare_readers

    compare_readers(paths, size=size, repeats=repeats)


def step(batch_size: int, frames: int, size: int, repeats: int) -> None:
    import_tensorflow()
    from benchmarks.step import compare_steps

    if frames < 4:
        raise ConfigError(f"--frames must be at least 4, half of them padding. Received: {frames}")
    compare_steps(batch_size=batch_size, num_frames=frames, size=size, repeats=repeats)


def prepare(paths: Sequence[str], repeats: int) -> None:
    from benchmarks.prepare import measure_preparation

    measure_preparation(paths, repeats=repeats)


def manifest(rows: int, groups: int, classes: int) -> None:
    from benchmarks.manifest import measure_manifest

    measure_manifest(rows, groups=groups, classes=classes)


if __name__ == "__main__":
    run_script(main)
