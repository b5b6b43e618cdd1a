"""Measures a run on its test videos, and writes a report.

The groups of these videos (people, source videos) took no part in training.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.script import Parser, named_run
from pipeline.native_log import import_tensorflow


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "evaluate", "runs/NAME")
    parser.add_run(by_place=True)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="test",
        help="Which videos. Only those of `test` took no part in training or choosing.",
    )
    parser.add_argument("--data", type=Path, help="Where its data set is, if it was moved.")
    parser.add_argument(
        "--views",
        type=int,
        help="Clips of a video that are averaged; default: as in its configuration.",
    )
    parser.add_argument(
        "--unknown",
        type=Path,
        help="Videos of classes that the run does not know, as a prepared data set or a table "
        "(CSV). It measures how well they are told from the known ones.",
    )
    parser.add_argument(
        "--bins",
        type=float,
        metavar="SECONDS",
        help="Of answers at every frame: count bouts in bins of time of this length as well.",
    )
    options = parser.parse(arguments)
    run = named_run(options)
    run.config()  # says at once if there is no run

    with run.alone():
        import_tensorflow()
        from pipeline.cli.frame_scores import format_result
        from pipeline.evaluation.evaluate import evaluate
        from pipeline.evaluation.page import report_files

        result = evaluate(
            run,
            options.split,
            data=options.data,
            views=options.views,
            unknown=options.unknown,
            bin_seconds=options.bins,
        )
    print(format_result(result, options.split))
    print(f"written: {run.metrics_file}; the report: {report_files(run, options.split)[0]}")
