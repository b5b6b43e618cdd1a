"""Cross-validates: each video is tested once, by a model that never saw its group.

Leave one group out: python scripts/crossval.py --data data/NAME --split.folds groups
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.parser import ConfigParser, in_folds, run_config
from pipeline.cli.script import run_script
from pipeline.native_log import import_tensorflow


def main(arguments: Sequence[str]) -> None:
    parser = ConfigParser(__doc__)
    parser.add_argument("--out", default="", help="Folder; default: runs/NAME-crossval.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    parser.add_argument(
        "--search",
        default="",
        help="TOML file of settings to choose from, by cross-validation within the training "
        "videos of each fold.",
    )
    parser.add_argument("--trials", type=int, default=20, help="Settings that are tried a fold.")
    parser.add_argument("--inner-folds", type=int, default=3, help="Folds that score a trial.")
    parser.add_run_config(arguments)
    options = parser.parse(arguments)
    config = in_folds(run_config(parser, options))
    folder = Path(options.out or f"runs/{Path(config.data).name}-crossval")

    import_tensorflow()
    from pipeline.experiments.crossval import cross_validate, format_crossval
    from pipeline.experiments.search import Search, import_optuna, read_ranges

    choose = None
    if options.search:
        import_optuna()
        ranges = read_ranges(Path(options.search))
        choose = Search(ranges=ranges, trials=options.trials, inner_folds=options.inner_folds)
    print(
        format_crossval(cross_validate(config, folder, overwrite=options.overwrite, choose=choose))
    )
    print(f"written: {folder / 'crossval.json'}, confusion.png and a run for each fold")


if __name__ == "__main__":
    run_script(main)
