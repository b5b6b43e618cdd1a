"""Trains a model on a prepared data set, and exports it.

Choose a preset with --config. Every option after it overrides a value of the preset. A training
that was stopped goes on with the same command, if --run names its folder. Several machines train
one model together where TF_CONFIG, or SLURM's srun, says so.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.auto import is_auto, train_auto
from pipeline.cli.export import format_exported
from pipeline.cli.parser import ConfigParser, run_config
from pipeline.config import RunConfig
from pipeline.errors import ConfigError
from pipeline.importing import import_tensorflow
from pipeline.native_log import drop_native_log
from pipeline.prepare.prepared import held_open
from pipeline.run import RUNS, Run
from pipeline.text import command
from pipeline.training.rendezvous import Place, place_in

if TYPE_CHECKING:
    from pipeline.training.cluster import Cluster


def main(arguments: Sequence[str]) -> int:
    """Parses the command line and does it; the exit code is 130 after Ctrl-C."""
    place = place_in()
    if is_auto(arguments):
        if place.num_workers > 1:
            raise ConfigError("--config auto is for one machine: start one worker alone")
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

    with _ended_at_once():
        if place.index:
            return _help(config, folder, place)
        # Before all else, so that the others hear of it if the folder cannot be written.
        cluster = _join(place) if place.num_workers > 1 else None
        with Run(folder).alone("name another folder (--run)"):  # until all is written
            import_tensorflow()
            code = _train_and_export(config, folder, cluster, options)
    print(f"next: {command('evaluate', folder)}")
    return code


@contextlib.contextmanager
def _ended_at_once() -> Iterator[None]:
    """Within it, the end of another worker ends this one; TensorFlow would wait for the others."""
    from pipeline.workers.pool import WorkerLostError

    try:
        yield
    except WorkerLostError as lost:
        print(f"clipline: {lost}", file=sys.stderr)
        sys.stdout.flush()
        os._exit(2)


def _join(place: Place) -> Cluster:
    import_tensorflow()
    drop_native_log()
    from pipeline.training.cluster import join

    return join(place)


def _help(config: RunConfig, folder: Path, place: Place) -> int:
    """What all workers but the first do: they train, and say nothing."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        cluster = _join(place)
        from pipeline.training.fit import help_train

        help_train(config, folder, cluster)
    return 0


@held_open()
def _train_and_export(
    config: RunConfig, folder: Path, cluster: Cluster | None, options: Any
) -> int:
    from pipeline.evaluation.calibrate import calibrate
    from pipeline.inference.export import export
    from pipeline.training.fit import Interrupted, train

    without = " and without --overwrite" if options.overwrite else ""
    code = 0
    again = f"The same command with --run {shlex.quote(str(folder))}{without} goes on"
    try:
        opened = train(
            config,
            folder,
            overwrite=options.overwrite,
            preflight=options.preflight,
            cluster=cluster,
        )
    except Interrupted as stop:
        opened, code = stop.opened, 130
        print(f"interrupted; the model of epoch {stop.epoch} is kept. {again}", flush=True)
    try:
        calibrate(opened)
        print(format_exported(export(opened)))
    except KeyboardInterrupt:
        print(f"{folder} is trained, but was not exported. {again}")
        raise
    return code
