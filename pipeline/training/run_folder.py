"""The folder of a run: what may be replaced, what is brought back, and a trained one, opened."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import pipeline
from pipeline.atomic import write_json
from pipeline.config import RunConfig
from pipeline.config.file import differing, load_config, save_config
from pipeline.dataset.videos import data_of_run
from pipeline.errors import ConfigError
from pipeline.models.recognizer import load_recognizer
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.text import listed

_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "ai-edge-litert")


def own_folder(folder: Path) -> Path:
    """The folder itself where it is a link to one.

    Raises:
        ConfigError: It is the current folder or one above it.
    """
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise ConfigError(f"--run: expected a folder of its own, got {folder}. Name another")
    return folder.resolve() if folder.is_symlink() else folder


def check_free(run: Run, *, overwrite: bool) -> None:
    """Makes sure that a new run may go into a folder.

    Args:
        run: The run to be.
        overwrite: Whether a trained run that is there already may be replaced; one that was
            interrupted before it had a model always may.

    Raises:
        ConfigError: It may not.
    """
    folder = run.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file. Name a folder for the run (--run)")
    if not folder.exists() or not any(folder.iterdir()):
        return
    begun = (run.config_file, run.class_names_file, run.environment_file)
    if not all(file.is_file() for file in begun):
        raise ConfigError(f"{folder} is not the folder of a run. Name another (--run)")
    if run.model_file.is_file() and not overwrite:
        raise ConfigError(f"{folder} exists. Name another (--run) or replace it (--overwrite)")


def is_unfinished(run: Run, config: RunConfig, data_fingerprint: str) -> bool:
    """Whether a folder holds a training that was stopped, before its end or before its export.

    Raises:
        ConfigError: It holds one that was stopped, with other settings or data.
    """
    is_exported = run.litert_file.is_file() and run.bundle_file.is_file()
    is_stopped = run.checkpoint_file.is_file() or (is_trained(run) and not is_exported)
    if not is_stopped or not run.config_file.is_file():
        return False
    begun = load_config(run.config_file)
    expected = {"data", "train.precision" if config.train.precision == "auto" else ""}
    changed = [key for key in differing(begun, config) if key not in expected]
    if run.environment().get("data_fingerprint") != data_fingerprint:
        changed.append("data")
    if changed:
        raise ConfigError(
            f"{run.folder} holds an unfinished training with another {listed(changed)}. Name "
            "another folder (--run) or replace it (--overwrite)"
        )
    return True


def is_finished(run: Run) -> bool:
    """Whether a training has ended, and its model was exported."""
    return is_trained(run) and run.litert_file.is_file() and run.bundle_file.is_file()


def is_trained(run: Run) -> bool:
    """Whether a training has ended; until then there is a checkpoint."""
    return run.model_file.is_file() and not run.checkpoint_file.is_file()


def start(run: Run, data: PreparedDataset, config: RunConfig) -> None:
    """Makes the folder, which is not there yet, and writes what is known before training.

    It gets its name once all of that is in it.
    """
    new = Run(run.folder.with_name(f".new-{run.folder.name}"))
    shutil.rmtree(new.folder, ignore_errors=True)  # of a training that was killed
    new.report.mkdir(parents=True)
    save_config(config, new.config_file)
    for stream in config.external:
        new.backbones.mkdir(exist_ok=True)
        file = Path(config.backbone_of(stream).name)
        shutil.copyfile(file, new.backbones / f"{stream}{file.suffix}")
    write_json(new.class_names_file, list(data.class_names))
    environment = {**_environment(), "data_fingerprint": data.fingerprint}
    write_json(new.environment_file, environment)
    new.folder.rename(run.folder)


def _environment() -> dict[str, Any]:
    """Command, versions and machine, as JSON types."""
    return {
        "command": sys.argv,
        "clipline": pipeline.__version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
    }


def note_end(run: Run) -> None:
    """Keeps when the training ended; of several runs, this tells which is the latest."""
    ended = datetime.datetime.now(datetime.UTC).isoformat()
    write_json(run.environment_file, {**run.environment(), "ended": ended})


def discard_findings(run: Run) -> None:
    """Removes what was made of the model so far, and what a kill left, when a training goes on."""
    for file in run.folder.glob("*.tmp"):
        file.unlink()
    for file in (run.litert_file, run.bundle_file, run.calibration_file, run.metrics_file):
        file.unlink(missing_ok=True)
    shutil.rmtree(run.exports, ignore_errors=True)
    for file in run.report.glob("*"):
        file.unlink()


@contextmanager
def old_run_kept(run: Run) -> Iterator[None]:
    """Sets aside what is in the folder, until there is a new model in it; else brings it back."""
    if run.folder.exists():
        run.folder.rename(_aside(run))
    try:
        yield
    finally:
        bring_back(run)


def bring_back(run: Run) -> None:
    """Puts a run that was set aside in its place again, if what was to replace it has no model."""
    if _aside(run).exists() and not run.model_file.is_file():
        shutil.rmtree(run.folder, ignore_errors=True)
        _aside(run).rename(run.folder)
    shutil.rmtree(_aside(run), ignore_errors=True)


def _aside(run: Run) -> Path:
    return run.folder.with_name(f".old-{run.folder.name}")


@dataclasses.dataclass(frozen=True, eq=False)
class OpenedRun:
    """A run with what measuring and exporting it take; after a training, all is in memory already.

    Attributes:
        run: Its folder.
        data: Its videos, with the splits that it was trained on.
        config: Its configuration.
        model: The recogniser that was kept, in float32.
    """

    run: Run
    data: PreparedDataset
    config: RunConfig
    model: keras.Model


def open_run(run: Run, data: Path | None = None) -> OpenedRun:
    """Opens a trained run.

    Args:
        run: Its folder.
        data: Where its data set is, if it was moved since the run was trained.

    Raises:
        DataError: The run or its data set cannot be used.
    """
    return opened_run(run, data_of_run(run, data))


def opened_run(run: Run, data: PreparedDataset, model: keras.Model | None = None) -> OpenedRun:
    """A trained run with its videos, and its model if that is in memory.

    Its configuration is read from its folder, where its external backbones lie.
    """
    config = run.config()
    model = model or load_recognizer(run.model_file, config, len(data.class_names))
    return OpenedRun(run, data, config, model)
