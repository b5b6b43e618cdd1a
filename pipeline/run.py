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


class _Inside:
    """A path inside the folder of a run."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: Run, _: object) -> Path:
        return run.folder / self._name


@dataclasses.dataclass(frozen=True)
class Run:
    """Names of the files of a run; classifying needs nothing else.

    Attributes:
        folder: The run's folder.
        config_file: The whole configuration, TOML.
        model_file: The Keras model with the best weights.
        litert_file: The same model for LiteRT.
        bundle_file: All that classifying needs to know besides the model, JSON.
        exports: Folder of what it was exported to, besides LiteRT.
        saved_model: The same model for TensorFlow Serving, where it was exported so; a folder.
        onnx: The same model for ONNX, where it was exported so; a folder.
        class_names_file: Class names in the order of the logits, JSON.
        history_file: Losses and accuracies by epoch, CSV.
        calibration_file: What makes its logits probabilities, JSON, where that could be fitted.
        checkpoint_file: What an unfinished training goes on from; gone when it is finished.
        metrics_file: What evaluation found, by split, JSON.
        environment_file: Versions, machine and command, JSON.
        report: Folder of plots and tables.
    """

    folder: Path

    config_file = _Inside("config.toml")
    model_file = _Inside("model.keras")
    litert_file = _Inside("model.tflite")
    bundle_file = _Inside("bundle.json")
    exports = _Inside("export")
    saved_model = _Inside("saved_model")
    onnx = _Inside("onnx")
    class_names_file = _Inside("class_names.json")
    history_file = _Inside("history.csv")
    calibration_file = _Inside("calibration.json")
    checkpoint_file = _Inside("checkpoint.npz")
    metrics_file = _Inside("metrics.json")
    environment_file = _Inside("environment.json")
    report = _Inside("report")

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
        """Makes sure that a file of the run is there, which training makes, or what `make` says.

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
        """Metrics of each epoch of the training; empty if none has ended.

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
        """Results of evaluation, by split; empty if there was none yet.

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
    """End of its training in seconds since 1970; if it says nothing, of its export."""
    try:
        return datetime.datetime.fromisoformat(run.environment()["ended"]).timestamp()
    except (DataError, KeyError, TypeError, ValueError):
        return run.litert_file.stat().st_mtime
