"""Measures a run on its test videos, and writes a report.

The groups of these videos (people, source videos) took no part in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.fuse import add_fusion
from pipeline.cli.script import Parser, named_run
from pipeline.errors import ConfigError
from pipeline.importing import import_tensorflow

if TYPE_CHECKING:
    from pipeline.evaluation.results import FusedResult, Scores
    from pipeline.manifest.rows import Split
    from pipeline.run import Run
    from pipeline.tasks.fusion import Rule


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    parser = Parser(__doc__ or "", "evaluate", "runs/NAME")
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="Folder of the run; default: the one in runs/ whose training ended last. Several "
        "runs, or cross-validations, are measured alone and together, their answers fused.",
    )
    parser.add_argument("--run", default="", help="The same as RUN.")
    add_fusion(parser)
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
    runs = _named(options)
    if len(runs) > 1:
        _evaluate_together(runs, options)
    elif runs[0].fusion_file.is_file():
        _evaluate_fused(runs[0], options)
    else:
        _evaluate(runs[0], options)


def _named(options: Any) -> list[Run]:
    """The runs that are named by their places, or as `--run`; or else the latest one."""
    from pipeline.run import Run

    if options.runs and options.run:
        raise ConfigError(f"expected one run, got {options.runs[0]} and {options.run}")
    runs = [Run(Path(folder)) for folder in options.runs] or [named_run(options)]
    several = len(runs) > 1 or runs[0].fusion_file.is_file()
    for name in ("data", "views", "unknown", "bins") if several else ():
        if getattr(options, name):
            raise ConfigError(f"--{name} is for one run: leave it out")
    if options.rule and len(runs) == 1:
        raise ConfigError("--rule is for several runs: leave it out")
    return runs


def _evaluate(run: Run, options: Any) -> None:
    """Measures a run."""
    run.config()  # says at once if there is no run

    with run.alone():
        import_tensorflow()
        from pipeline.evaluation.evaluate import evaluate

        result = evaluate(
            run,
            options.split,
            data=options.data,
            views=options.views,
            unknown=options.unknown,
            bin_seconds=options.bins,
        )
    _tell(run, options.split, result)


def _evaluate_fused(run: Run, options: Any) -> None:
    """Measures a folder of fused runs."""
    import_tensorflow()
    from pipeline.inference.fuse import evaluate_fused

    with run.alone():
        result = evaluate_fused(run, options.split)
    _tell(run, options.split, result)


def _tell(run: Run, split: Split, result: Scores | FusedResult) -> None:
    """Prints a result and what was written; of videos of several labels there is no report."""
    from pipeline.evaluation.views import report_files, result_text

    page = report_files(run, split)[0]
    print(result_text(result, split))
    print(f"written: {run.metrics_file}" + (f"; the report: {page}" if page.is_file() else ""))


def _evaluate_together(runs: Sequence[Run], options: Any) -> None:
    """Measures runs, or cross-validations, alone and together; nothing is written."""
    import_tensorflow()
    from pipeline.evaluation import fusing
    from pipeline.evaluation.views import result_text

    folders = [run.folder for run in runs]
    crossed = any(map(fusing.is_crossval, folders))
    if crossed and options.split != "test":
        raise ConfigError("--split is for runs: a cross-validation tests each video once")
    rule: Rule = options.rule or "average"
    if crossed:
        several = fusing.cross_validated(folders)
    else:
        several = fusing.evaluated(folders, options.split)
    fusion = several.fusion(rule)
    result = fusing.compare(several, several.fused(fusion), fusion)
    print(result_text(result, options.split))
