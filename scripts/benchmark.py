"""Measures how fast the parts are, side by side with what one would compare them with.

decode VIDEO...     the video reader against OpenCV and ffmpeg
step                a training step against Keras' TimeDistributed and PyTorch
input --data DATA   clips that are read and augmented, against those that a step takes
cache --data DATA   an epoch on stored features, against one through the frozen backbone
prepare VIDEO...    from files to shards, against ffmpeg
manifest            a table of many videos, read and split
classify VIDEO...   a file classified, cold and warm, against keras.Model.predict
timeline            a long video, by overlap and length, and what is found in it
explain             whether what explain.py shows is what the answer comes from
intervals           how often the intervals of accuracies hold the truth, by simulation

benchmark.py COMMAND --help says more.
"""

import importlib
from collections.abc import Sequence

from pipeline.cli.script import run_script
from pipeline.errors import ConfigError
from pipeline.native_log import import_tensorflow
from pipeline.text import nearest

COMMANDS = (
    "decode",
    "step",
    "input",
    "cache",
    "prepare",
    "manifest",
    "classify",
    "timeline",
    "explain",
    "intervals",
)


def main(arguments: Sequence[str]) -> None:
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        print(__doc__)
        return
    if command not in COMMANDS:
        raise ConfigError(f"unknown {command}. Did you mean {nearest(command, COMMANDS)}?")
    if command in ("step", "input", "cache", "classify", "explain"):
        import_tensorflow()
    importlib.import_module(f"benchmarks.{command}").main(arguments[1:])


if __name__ == "__main__":
    run_script(main)
