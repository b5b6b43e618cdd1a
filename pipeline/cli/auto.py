"""Training and cross-validating with `--config auto`: the recipe is chosen by trying."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.cli.script import Parser
from pipeline.config import RunConfig, SplitConfig
from pipeline.errors import ConfigError
from pipeline.importing import import_tensorflow
from pipeline.prepare.prepared import held_open
from pipeline.run import Run
from pipeline.text import clock, command, listed

NAME: Final = "auto"
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def is_auto(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for `--config auto`.

    Raises:
        ConfigError: It has a `--budget` and does not ask for it.
    """
    pairs = itertools.pairwise(arguments)
    found = f"--config={NAME}" in arguments or ("--config", NAME) in pairs
    if not found and any(word.split("=")[0] == "--budget" for word in arguments):
        raise ConfigError(f"--budget is for --config {NAME}")
    return found


@held_open()
def train_auto(arguments: Sequence[str]) -> int:
    """Chooses a recipe for a data set, trains it and exports it; returns the exit code."""
    parser = _parser("train", "--config auto --budget 30m --data data/NAME --run runs/NAME")
    parser.add_argument("--run", required=True, help="Folder to write.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    options = parser.parse(arguments)
    config, out, began = _base(options), Run(Path(options.run)), time.monotonic()
    import_tensorflow()
    from pipeline.evaluation.views import as_text
    from pipeline.experiments.auto import begin_auto, choose, finish, table
    from pipeline.inference.export import export
    from pipeline.inference.fuse import fuse_as

    with out.alone("name another folder (--run)"):
        overwrite = options.overwrite
        watch = begin_auto(config, out.folder, options.budget, overwrite=overwrite, began=began)
        choice = choose(config, out.folder / "tried", watch)
        found = finish(choice, out.folder / "runs", watch)
        print("exporting", flush=True)
        for opened in found:
            export(opened)
        runs = [opened.run for opened in found]
        fuse_as(runs, out, choice.several, choice.fusion)
        watch.note()
        rows = table(choice, out.folder / "tried.csv")
    print(as_text("tried.txt", rows=rows, missing=choice.missing))
    chosen = listed(trial.recipe.name for trial in choice.members)
    print(f"chosen: {chosen}; {clock(watch.spent)} of {clock(options.budget)}")
    print(f"written: {out.folder}")
    print(f"next: {command('evaluate', out.folder)}")
    return 0


def crossval_auto(arguments: Sequence[str]) -> None:
    """Chooses a recipe for each fold by its training videos alone, and tests it."""
    parser = _parser("crossval", "--config auto --budget 2h --data data/NAME --split.folds 5")
    parser.add_argument("--out", default="", help="Folder to write; default: runs/NAME-crossval.")
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
    parser.add_argument(
        "--split.folds",
        dest="folds",
        type=_folds,
        default=5,
        help="How many folds are tested, or groups; they share the budget.",
    )
    options = parser.parse(arguments)
    config = _base(options, SplitConfig(folds=options.folds))
    folder = Path(options.out or f"runs/{Path(config.data).name}-crossval")
    import_tensorflow()
    from pipeline.evaluation.views import as_text
    from pipeline.experiments.auto import cross_validate_auto

    result = cross_validate_auto(config, folder, options.budget, overwrite=options.overwrite)
    print(as_text("chosen.txt", result=result))
    print(f"{clock(result.seconds)} in all; written: {folder / 'crossval.json'}")


def _parser(name: str, example: str) -> Parser:
    about = (
        "Tries recipes by cross-validation over groups of the training videos, drops what is "
        "behind, and fuses the best."
    )
    parser = Parser(about, name, example)
    parser.add_argument("--config", help="auto")
    parser.add_argument("--data", required=True, help="The prepared data set.")
    parser.add_argument(
        "--budget",
        type=_seconds,
        default=1800.0,
        help="The time for trying, the last training and the export, such as 20m or 2h. One that "
        "is too short is refused with the shortest.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of every training.")
    return parser


def _base(options: Any, split: SplitConfig | None = None) -> RunConfig:
    return RunConfig(data=options.data, seed=options.seed, split=split or SplitConfig())


def _folds(text: str) -> int | Literal["groups"]:
    if text == "groups":
        return "groups"
    if not text.isdecimal():
        raise ConfigError(f"--split.folds: expected a number, or groups, got {text}")
    return int(text)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget: expected a time such as 90s, 20m or 2h, got {text}")
    return float(found[1]) * _UNITS[found[2]]
