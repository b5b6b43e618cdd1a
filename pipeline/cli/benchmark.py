"""Measures how fast the parts are, side by side with what one would compare them with."""

from collections.abc import Sequence
from typing import Final

from pipeline.cli.commands import run_named
from pipeline.importing import import_tensorflow
from pipeline.text import command

COMMANDS: Final = {
    "decode": "VIDEO...: the video reader, against OpenCV and ffmpeg",
    "step": "a training step, against Keras' TimeDistributed and PyTorch",
    "input": "--data DATA: clips read and augmented, against those that a step takes",
    "cache": "--data DATA: an epoch on stored features, against one through the backbone",
    "prepare": "VIDEO...: from files to stored frames, against ffmpeg",
    "workers": "--data DATA: workers of one training and jobs of several, against one process",
    "manifest": "a table of many videos, read, split and planned",
    "classify": "VIDEO...: a file classified, cold and warm, against keras.Model.predict",
    "timeline": "a long video, by overlap and length, and what is found in it",
    "serve": "VIDEO...: a server under load, against `clipline classify`",
    "recordings": "--data DATA: timelines of test recordings, against their events",
    "labels": "VIDEOS --events EVENTS: labels it takes, chosen or by chance",
    "explain": "whether what `clipline explain` shows is what the answer comes from",
    "intervals": "how often the intervals of accuracies hold the truth, by simulation",
}
ABOUT: Final = """\
Measures how fast the parts are, side by side with what one would compare them with.

{{commands}}

`{benchmark} NAME --help` says more.
"""
WITH_TENSORFLOW: Final = ("step", "input", "cache", "classify", "recordings", "explain")


def main(arguments: Sequence[str]) -> int | None:
    """Runs the benchmark that the first word names."""
    if arguments and arguments[0] in WITH_TENSORFLOW:
        import_tensorflow()
    about = ABOUT.format(benchmark=command("benchmark"))
    return run_named(arguments, COMMANDS, "pipeline.cli.benchmarks", about)
