"""Cross-validates: tests each video once, by a model that never saw its group.

It trains a model for each fold. There are 5, or as many as --split.folds says; `groups` makes a
fold of each group. Every option after --config overrides a value of the preset.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.auto import crossval_auto, is_auto
from pipeline.cli.executor import add_executor, executor_of
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.importing import import_tensorflow


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and does it."""
    if is_auto(arguments):
        crossval_auto(arguments)
        return
    parser = ConfigParser(__doc__ or "", "crossval", "--data data/NAME --split.folds groups")
    parser.add_argument("--out", default="", help="Folder to write; default: runs/NAME-crossval.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    parser.add_argument(
        "--search",
        default="",
        help="TOML file of settings to choose from. They are chosen for each fold, by "
        "cross-validation within its training videos.",
    )
    parser.add_argument("--trials", type=int, default=20, help="Settings to try for each fold.")
    parser.add_argument(
        "--inner-folds", type=int, default=3, help="Folds by which a setting is scored."
    )
    add_executor(parser)
    parser.add_run_config(arguments)
    options = parser.parse(arguments)
    config = run_config(options)
    folder = Path(options.out or f"runs/{Path(config.data).name}-crossval")

    import_tensorflow()
    from pipeline.evaluation.views import as_text
    from pipeline.experiments.crossval import cross_validate, in_folds
    from pipeline.experiments.search import Search, read_ranges

    choose = None
    if options.search:
        ranges = read_ranges(Path(options.search))
        choose = Search(ranges=ranges, trials=options.trials, inner_folds=options.inner_folds)
    result = cross_validate(
        in_folds(config),
        folder,
        overwrite=options.overwrite,
        choose=choose,
        executor=executor_of(options),
    )
    print(as_text("crossval.txt", result=result))
    print(f"written: {folder / 'crossval.json'} and a run for each fold")
