"""Writes the model of a run for other programs and devices.

Training writes it for LiteRT when it ends, so that only other formats need this command.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.script import Parser, named_run
from pipeline.importing import import_tensorflow

if TYPE_CHECKING:
    from pipeline.inference.agreement import Exported


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "export", "runs/NAME --format litert-int8")
    parser.add_run(by_place=True)
    parser.add_argument(
        "--format",
        choices=("litert", "litert-float16", "litert-int8", "savedmodel", "onnx"),
        default="litert",
        help="litert goes beside the model. Each other goes into RUN/export/FORMAT, a folder that "
        "classifies on its own.",
    )
    parser.add_argument("--data", type=Path, help="Where its data set is, if it was moved.")
    options = parser.parse(arguments)
    run = named_run(options)
    run.config()  # says at once if there is no run

    with run.alone():
        import_tensorflow()
        from pipeline.evaluation.calibrate import calibrate
        from pipeline.inference.export import export
        from pipeline.training.run_folder import open_run

        opened = open_run(run, options.data)
        calibrate(opened)
        print(format_exported(export(opened, options.format)))


def format_exported(exported: Exported) -> str:
    """The result of `export` as text for a terminal."""
    faster = exported.keras_seconds / exported.clip_seconds
    return (
        f"{exported.model}: {exported.num_bytes / 1e6:.1f} MB, "
        f"{exported.clip_seconds * 1000:.1f} ms a clip on {os.cpu_count()} CPU cores, "
        f"{faster:.1f} times as fast as Keras\n"
        f"of {exported.num_clips} clips {exported.same_answers:.3f} get the answer of Keras; "
        f"logits differ by at most {exported.difference:.1e}"
    )
