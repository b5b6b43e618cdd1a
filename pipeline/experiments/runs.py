"""The runs of an experiment: each is trained and measured once, however often it is stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.atomic import write_json
from pipeline.config import BackboneConfig, RunConfig
from pipeline.config.file import differing, load_config, save_config
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.evaluation.calibrate import calibrate
from pipeline.evaluation.predict import predict_split
from pipeline.evaluation.results import Measured, as_json
from pipeline.locks import alone
from pipeline.manifest.rows import Split
from pipeline.run import Run
from pipeline.text import listed
from pipeline.training.callbacks import TimeLimit
from pipeline.training.fit import train
from pipeline.training.guards import decide_precision
from pipeline.training.run_folder import is_trained, open_run

_MEASURED: Final = "fold.json"


class Experiment(NamedTuple):
    """What goes into a folder.

    Attributes:
        name: Of its files.
        title: In words.
        parts: Pattern of the folders of its runs.
    """

    name: str
    title: str
    parts: str


def begin(
    experiment: Experiment,
    config: RunConfig,
    folder: Path,
    facts: Mapping[str, Any],
    *,
    overwrite: bool,
) -> RunConfig:
    """Makes the folder of an experiment, or makes sure that it holds the beginning of this one.

    Args:
        experiment: What it is.
        config: That of its runs, from which they may differ.
        folder: Where it goes.
        facts: What else it depends on, as JSON types.
        overwrite: Whether an experiment with other settings that is there is replaced.

    Returns:
        The configuration with the precision that it began with.

    Raises:
        ConfigError: The folder holds something else.
    """
    file, other_file = folder / f"{experiment.name}.toml", folder / f"{experiment.name}-of.json"
    if folder.exists() and any(folder.iterdir()):
        if not other_file.is_file():
            raise ConfigError(f"{folder} is not the folder of {experiment.title}. Name another")
        found = json.loads(other_file.read_bytes())
        changed = _changed(load_config(file), config) if file.is_file() else []
        changed += [name for name, value in facts.items() if found.get(name) != value]
        if changed and not overwrite:
            raise ConfigError(
                f"{folder} holds {experiment.title} with another {listed(changed)}. Name another "
                "folder (--out) or replace it (--overwrite)"
            )
        if overwrite:
            _remove(list(folder.glob(experiment.parts)))
    config = decide_precision(config, file if file.is_file() and not overwrite else None)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(other_file, facts)
    save_config(config, file)
    return config


def _changed(begun: RunConfig, config: RunConfig) -> list[str]:
    """What differs; a precision that is still to be decided does not."""
    is_open = config.train.precision == "auto"
    return [key for key in differing(begun, config) if not (is_open and key == "train.precision")]


def _remove(parts: Sequence[Path]) -> None:
    """Removes all of them; none, where another process is at work in one."""
    with contextlib.ExitStack() as stack:
        for part in parts:
            stack.enter_context(alone(part, "at work in", "name another folder (--out)"))
        for part in parts:
            shutil.rmtree(part)


def measured_file(run: Run) -> Path:
    """The file in which `measured` keeps what a run gave."""
    return run.folder / _MEASURED


def measured_before(run: Run) -> Measured | None:
    """What `measured` gave of a run; None: it was not measured yet."""
    try:
        found = json.loads(measured_file(run).read_bytes())
    except FileNotFoundError:
        return None
    return Measured(seconds=found.pop("seconds"), scores=found)


def measured(
    config: RunConfig,
    run: Run,
    split: Split,
    before: float = 0.0,
    *,
    calibrates: bool = True,
    limit: TimeLimit | None = None,
) -> Measured:
    """Trains and measures a run, unless that was done.

    Args:
        config: Its configuration, of which the task is known.
        run: Where it goes. A run of another configuration that is there is replaced.
        split: What it is measured on.
        before: Seconds that it took already.
        calibrates: Whether its validation videos tell how sure it is.
        limit: Ends the training early.

    Raises:
        DivergenceError: The training did.
        OutOfTimeError: It took too long, and was given up.
    """
    if done := measured_before(run):
        return done
    started = time.perf_counter()
    is_other = _is_other(run, config)
    if not is_other:
        before += _seconds(run)
    is_begun = is_other or not is_trained(run)
    if is_begun:
        opened = train(config, run.folder, overwrite=is_other, limit=limit)
    else:
        opened = open_run(run)
    if calibrates:
        calibrate(opened)
    scores = predict_split(opened, split).scores().named
    result = Measured(scores, round(before + time.perf_counter() - started, 1))
    write_json(measured_file(run), as_json(result))
    return result


def _is_other(run: Run, config: RunConfig) -> bool:
    """Whether what is in the folder is not this run or the beginning of it."""
    if not run.config_file.is_file():
        return True
    try:
        begun = load_config(run.config_file)
    except PipelineError:
        return True
    is_same_data = Path(begun.data).resolve() == Path(config.data).resolve()
    return bool(set(_changed(begun, config)) - ({"data"} if is_same_data else set()))


def with_whole_paths(config: RunConfig) -> RunConfig:
    """A run whose paths hold in any current folder, so that other machines find its files."""
    backbones = {stream: _with_files(each) for stream, each in config.backbones.items()}
    return dataclasses.replace(
        config,
        data=_whole(config.data),
        backbone=_with_files(config.backbone),
        backbones=backbones,
    )


def _with_files(backbone: BackboneConfig) -> BackboneConfig:
    is_file = backbone.is_external or backbone.name.endswith(".keras")
    return dataclasses.replace(
        backbone,
        name=_whole(backbone.name) if is_file else backbone.name,
        weights=backbone.weights
        if backbone.weights in ("imagenet", "none")
        else _whole(backbone.weights),
    )


def _whole(path: str) -> str:
    return str(Path(path).absolute())


def _seconds(run: Run) -> float:
    """Seconds of the epochs that a training had before it was stopped."""
    try:
        return sum(row["seconds"] for row in run.history())
    except DataError:  # The training that goes on says so.
        return 0.0
