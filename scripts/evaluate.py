"""Evaluates a run on videos of groups that training never saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.cli import Parser, import_tensorflow, named_run, run_script


def main(arguments: Sequence[str]) -> None:
    parser = Parser(__doc__)
    parser.add_run()
    parser.add_argument(
        "--split",
        type=Literal["train", "val", "test"],
        default="test",
        help="Which videos; only those of `test` took no part in training or choosing.",
    )
    parser.add_argument("--data", default="", help="Where its data set is, if that was moved.")
    options = parser.parse(arguments)
    run = named_run(options)
    run.config()  # says at once if there is no run

    import_tensorflow()
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.evaluation.report import format_metrics

    data = Path(options.data) if options.data else None
    print(format_metrics(evaluate(run, options.split, data=data), options.split))
    print(f"written: {run.metrics_file} and {run.report}/")


if __name__ == "__main__":
    run_script(main)
