"""The `clipline` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.cli.script import run_script

COMMANDS: Final = {
    "app": "label videos in the browser, and train on them",
    "prepare": "turn labelled videos into a data set to train on",
    "train": "train a model on a data set, and export it",
    "evaluate": "measure a run on its test videos, and write a report",
    "fuse": "make one of several runs, which answers by all of them",
    "classify": "say what video files show",
    "stream": "say what a camera shows, again and again",
    "serve": "answer programs over HTTP: what videos show",
    "explain": "show where a run looks, and which frames its answer needs",
    "export": "write the model of a run for LiteRT, ONNX or TensorFlow",
    "crossval": "test each video once, by a model that never saw its group",
    "ablate": "measure what each stage of the model is worth",
    "preview": "draw what training sees of a data set",
    "fetch": "get the models that find key points of people",
    "benchmark": "measure how fast the parts are, against other programs",
}
ABOUT: Final = """\
Clipline learns to tell apart what happens in videos.

To see it work, on videos that it renders:

  clipline prepare
  clipline train
  clipline evaluate
  clipline classify data/demo/videos/stand_up

With your own videos, in one folder for each class:

  clipline prepare --source folder --path VIDEOS --out data/NAME
  clipline preview data/NAME
  clipline train --data data/NAME --run runs/NAME
  clipline evaluate runs/NAME
  clipline classify NEW.mp4 --run runs/NAME

The commands:

{commands}

`clipline COMMAND --help` lists the options of a command.
`clipline --version` prints the version.
`eval "$(register-python-argcomplete clipline)"` lets the Tab key complete commands and options.
"""


def main() -> None:
    """Runs the command that the command line names."""
    run_script(_run)


def _run(arguments: Sequence[str]) -> int | None:
    from pipeline.cli.commands import run_named

    return run_named(arguments, COMMANDS, "pipeline.cli", ABOUT)


if __name__ == "__main__":
    main()
