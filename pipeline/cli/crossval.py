"""Cross-validates: tests each video once, by a model that never saw its group.

It trains a model for each fold. There are 5, or as many as --split.folds says; `groups` makes a
fold of each group. Every option after --config overrides a value of the preset.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.auto import crossval_auto, is_auto
from pipeline.cli.executor import add_executor, executor_of
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.evaluation.main_score import score_title
from pipeline.importing import import_tensorflow
from pipeline.text import counted, listed


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
    print(format_crossval(result))
    print(f"written: {folder / 'crossval.json'} and a run for each fold")


def format_crossval(result: dict[str, Any]) -> str:
    """The result of `cross_validate` as text for a terminal."""
    lines = []
    if result.get("leaks"):
        lines.append(f"these figures are not to be believed: {listed(result['leaks'], most=3)}")
    return "\n".join(
        [
            *lines,
            *_pooled_lines({key: each for key, each in result.items() if key != "leaks"}),
            f"folds  {_fold_text(result)}",
            f"{result['seconds']:.0f} s for all folds",
        ]
    )


def _pooled_lines(result: dict[str, Any]) -> list[str]:
    """What is said of all videos together."""
    from pipeline.cli.frame_scores import format_result
    from pipeline.cli.scores import top1_text

    if "video" not in result:
        return [format_result(result, "each tested once"), ""]
    videos, groups = counted(result["num_videos"], "video"), counted(result["num_groups"], "group")
    recalls = [f"{name} {row['recall']:.2f}" for name, row in result["per_class"].items()]
    return [
        f"{videos} of {groups}, each tested once; chance {result['chance']:.3f}",
        f"video  {top1_text(result['video'])}",
        f"recall {', '.join(recalls)}",
    ]


def _fold_text(result: dict[str, Any]) -> str:
    deviations = result["fold_standard_deviation"]
    return "   ".join(
        f"{score_title(name)} {_number(mean)} (standard deviation {_number(deviations[name])})"
        for name, mean in result["fold_mean"].items()
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
