"""The folder of one training run, which describes itself."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.locks import alone
from pipeline.text import command

RUNS = Path("runs")

T = TypeVar("T", list[Any], dict[str, Any])


@dataclasses.dataclass(frozen=True)
class Run:
    """Names of the files of a run; classifying needs nothing else.

    Attributes:
        folder: The run's folder.
    """

    folder: Path

    @property
    def config_file(self) -> Path:
        """The whole configuration, TOML."""
        return self.folder / "config.toml"

    @property
    def model_file(self) -> Path:
        """The Keras model with the best weights."""
        return self.folder / "model.keras"

    @property
    def litert_file(self) -> Path:
        """The same model for LiteRT."""
        return self.folder / "model.tflite"

    @property
    def bundle_file(self) -> Path:
        """All that classifying needs to know besides the model, JSON."""
        return self.folder / "bundle.json"

    @property
    def exports(self) -> Path:
        """Folder of what it was exported to, besides LiteRT."""
        return self.folder / "export"

    @property
    def saved_model(self) -> Path:
        """The same model for TensorFlow Serving, where it was exported so; a folder."""
        return self.folder / "saved_model"

    @property
    def onnx(self) -> Path:
        """The same model for ONNX, where it was exported so; a folder."""
        return self.folder / "onnx"

    @property
    def class_names_file(self) -> Path:
        """Class names in the order of the logits, JSON."""
        return self.folder / "class_names.json"

    @property
    def history_file(self) -> Path:
        """Losses and accuracies by epoch, CSV."""
        return self.folder / "history.csv"

    @property
    def calibration_file(self) -> Path:
        """What makes its logits probabilities, JSON; missing where nothing could be fitted."""
        return self.folder / "calibration.json"

    @property
    def checkpoint_file(self) -> Path:
        """What an unfinished training goes on from; gone when it is finished."""
        return self.folder / "checkpoint.npz"

    @property
    def metrics_file(self) -> Path:
        """What evaluation found, by split, JSON."""
        return self.folder / "metrics.json"

    @property
    def environment_file(self) -> Path:
        """Versions, machine and command, JSON."""
        return self.folder / "environment.json"

    @property
    def report(self) -> Path:
        """Folder of plots and tables."""
        return self.folder / "report"

    def alone(self, instead: str = "") -> AbstractContextManager[None]:
        """Keeps others from training, exporting or testing in the folder, see `locks.alone`."""
        return alone(self.folder, "training or testing", instead)

    def config(self) -> RunConfig:
        """The configuration that the run used.

        Raises:
            DataError: The folder is not that of a trained run.
        """
        from pipeline.config.file import load_config  # takes packages that a bundle does without

        self.expect(self.config_file)
        self.expect(self.class_names_file)
        config = load_config(self.config_file)
        if not (config.data and config.frames.size and config.frames.fps):
            raise DataError(f"{self.config_file}: damaged, or not written by a run. Train again")
        return config

    def expect(self, file: Path, make: str = "") -> None:
        """Makes sure that a file of the run is there.

        Args:
            file: The file.
            make: What makes it; training, if that is empty.

        Raises:
            DataError: It is not; the message says `make`.
        """
        if not file.is_file():
            make = make or f"Train one: {command('train')}"
            raise DataError(f"{self.folder}: no trained model here, {file.name} is missing. {make}")

    def class_names(self) -> list[str]:
        """Class names in the order of the logits.

        Raises:
            DataError: The file is damaged.
        """
        names = _read_json(self.class_names_file, list, "Train again")
        if not all(isinstance(name, str) for name in names):
            raise DataError(f"{self.class_names_file}: damaged. Train again")
        return names

    def environment(self) -> dict[str, Any]:
        """Versions, machine, command and data of the training.

        Raises:
            DataError: The file is missing or damaged.
        """
        self.expect(self.environment_file)
        return _read_json(self.environment_file, dict, "Train again")

    def history(self) -> list[dict[str, float]]:
        """What each epoch of the training was like; empty if none has ended.

        Returns:
            By epoch: `epoch`, from 1; `seconds`; `learning_rate`; `loss` and `accuracy`; and, where
            there are validation videos, `val_loss` and `val_accuracy`.

        Raises:
            DataError: The file is damaged.
        """
        if not self.history_file.exists():
            return []
        try:
            with self.history_file.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                history = [{name: float(row[name]) for name in row} for row in rows]
        except (ValueError, TypeError, csv.Error):
            history = []
        if not history or not {"epoch", "seconds", "loss", "accuracy"} <= history[0].keys():
            raise DataError(
                f"{self.history_file}: damaged. Delete it: the curves are lost, the model is not"
            )
        return history

    def metrics(self) -> dict[str, Any]:
        """What evaluation found, by split; empty if there was none yet.

        Raises:
            DataError: The file is damaged.
        """
        if not self.metrics_file.exists():
            return {}
        return _read_json(self.metrics_file, dict, "Delete it and evaluate again")


def _read_json(file: Path, kind: type[T], next_step: str) -> T:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, kind):
        raise DataError(f"{file}: damaged. {next_step}")
    return content


def latest_run(runs: Path = RUNS) -> Run:
    """The run that can classify whose training ended last, however old its files are.

    Raises:
        DataError: There is none.
    """
    found = [Run(model.parent) for model in runs.glob("[!.]*/model.tflite")]
    if not found:
        raise DataError(
            f"no trained run in {runs}/. Train one ({command('train')}) or name one (--run)"
        )
    return max(found, key=lambda run: (_ended(run), run.folder))


def _ended(run: Run) -> float:
    """When its training ended, in seconds since 1970; if it says nothing, when it was exported."""
    try:
        return datetime.datetime.fromisoformat(run.environment()["ended"]).timestamp()
    except (DataError, KeyError, TypeError, ValueError):
        return run.litert_file.stat().st_mtime
