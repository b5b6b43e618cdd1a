"""Evaluates a run on videos of groups that training never saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.cli import Parser, import_tensorflow, run_script
from pipeline.run import Run, latest_run


def main(arguments: Sequence[str]) -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "run", nargs="?", default="", help="Folder of the run; default: the latest."
    )
    parser.add_argument(
        "--split",
        type=Literal["train", "val", "test"],
        default="test",
        help="Which videos; only those of `test` took no part in training or choosing.",
    )
    options = parser.parse(arguments)
    run = Run(Path(options.run)) if options.run else latest_run()
    run.config()  # says at once if there is no run

    import_tensorflow()
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.evaluation.report import format_metrics

    print(format_metrics(evaluate(run, options.split), options.split))
    print(f"written: {run.metrics_file} and {run.report}/")


if __name__ == "__main__":
    run_script(main)
