"""The `clipline` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.cli.script import run_script

COMMANDS: Final = {
    "prepare": "turn labelled videos into a prepared data set",
    "train": "train a model on it",
    "evaluate": "measure it on the test videos",
    "classify": "say what video files show",
    "stream": "say what a camera shows, again and again",
    "explain": "show where a model looks, and which frames it needs",
    "export": "write a model for LiteRT, ONNX or TensorFlow",
    "crossval": "cross-validate: test each video once",
    "ablate": "measure what each stage is worth",
    "preview": "draw what training sees",
    "benchmark": "measure how fast the parts are",
}
ABOUT: Final = """\
Clipline learns to tell apart what happens in videos.

To see it work, on videos that it renders:

  clipline prepare
  clipline train
  clipline evaluate
  clipline classify data/demo/videos/*/*_0.mp4

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
"""


def main() -> None:
    """Runs the command that the command line names."""
    run_script(_run)


def _run(arguments: Sequence[str]) -> int | None:
    if list(arguments) == ["--version"]:
        from pipeline import __version__

        print(f"clipline {__version__}")
        return None
    from pipeline.cli.commands import run_named

    return run_named(arguments, COMMANDS, "pipeline.cli", ABOUT)


if __name__ == "__main__":
    main()
