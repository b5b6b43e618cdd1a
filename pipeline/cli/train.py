"""Trains a model on a prepared data set, and exports it.

Choose a preset with --config. Every option after it overrides a value of the preset. A training
that was stopped goes on with the same command, if --run names its folder.
"""

import datetime
import shlex
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.auto import is_auto, train_auto
from pipeline.cli.export import format_exported
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.config import RunConfig
from pipeline.native_log import import_tensorflow
from pipeline.run import RUNS, Run
from pipeline.text import command


def main(arguments: Sequence[str]) -> int:
    """Parses the command line and does it; the exit code is 130 after Ctrl-C."""
    if is_auto(arguments):
        return train_auto(arguments)
    parser = ConfigParser(__doc__ or "", "train", "--data data/NAME --run runs/NAME")
    parser.add_argument("--run", default="", help="Folder to write; default: a new one in runs/.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the run that is there.")
    parser.add_argument(
        "--preflight",
        action="store_true",
        help="First make sure that one batch can be learned by heart.",
    )
    parser.add_run_config(arguments)
    options = parser.parse(arguments)
    config = run_config(options)
    now = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    folder = Path(options.run or RUNS / f"{Path(config.data).name}-{now}")

    with Run(folder).alone("name another folder (--run)"):  # until all is written
        import_tensorflow()
        code = _train_and_export(
            config, folder, overwrite=options.overwrite, preflight=options.preflight
        )
    print(f"next: {command('evaluate', folder)}")
    return code


def _train_and_export(config: RunConfig, folder: Path, *, overwrite: bool, preflight: bool) -> int:
    from pipeline.evaluation.calibrate import calibrate
    from pipeline.inference.export import export
    from pipeline.training.fit import Interrupted, train

    without = " and without --overwrite" if overwrite else ""
    code = 0
    again = f"The same command with --run {shlex.quote(str(folder))}{without} goes on"
    try:
        run = train(config, folder, overwrite=overwrite, preflight=preflight)
    except Interrupted as stop:
        run, code = stop.run, 130
        print(f"interrupted; the model of epoch {stop.epoch} is kept. {again}", flush=True)
    try:
        calibrate(run)
        print(format_exported(export(run)))
    except KeyboardInterrupt:
        print(f"{folder} is trained, but was not exported. {again}")
        raise
    return code
