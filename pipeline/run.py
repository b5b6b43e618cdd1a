"""The folder of one training run, which describes itself."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import difflib
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.external import file_of
from pipeline.locks import alone
from pipeline.text import command, listed

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
        exports: Folder of what it was exported to, besides LiteRT: a folder for each format, which
            is itself a `Run` that can classify and nothing else.
        saved_model: In `export/savedmodel`, the model for TensorFlow Serving; a folder.
        onnx: In `export/onnx`, the model for ONNX; a folder.
        pose: Where pictures are read for key points: the models that find them; a folder.
        backbones: External backbones: their files, by stream; a folder.
        fusion_file: In a folder of fused runs, what makes one of their answers, JSON.
        class_names_file: Class names in the order of the logits, JSON.
        history_file: Losses and accuracies by epoch, CSV.
        calibration_file: What makes its logits probabilities, JSON, where that could be fitted.
        checkpoint_file: What an unfinished training goes on from; gone when it is finished.
        metrics_file: What evaluation found, by split, JSON.
        environment_file: Versions, machine and command, JSON.
        report: Folder of plots and tables.
        report_page: In `report`, what was found on the test, as a page; not of each kind of run.
    """

    folder: Path

    config_file = _Inside("config.toml")
    model_file = _Inside("model.keras")
    litert_file = _Inside("model.tflite")
    bundle_file = _Inside("bundle.json")
    exports = _Inside("export")
    saved_model = _Inside("saved_model")
    onnx = _Inside("onnx")
    pose = _Inside("pose")
    backbones = _Inside("backbones")
    fusion_file = _Inside("fusion.json")
    class_names_file = _Inside("class_names.json")
    history_file = _Inside("history.csv")
    calibration_file = _Inside("calibration.json")
    checkpoint_file = _Inside("checkpoint.npz")
    metrics_file = _Inside("metrics.json")
    environment_file = _Inside("environment.json")
    report = _Inside("report")
    report_page = _Inside("report/index.html")

    def alone(self, instead: str = "") -> AbstractContextManager[None]:
        """Keeps others from training, exporting or testing in the folder, see `locks.alone`."""
        return alone(self.folder, "training or testing", instead)

    def config(self) -> RunConfig:
        """The configuration that the run used; it names external backbones that lie in the run.

        Raises:
            DataError: The folder is not that of a trained run.
        """
        from pipeline.config.file import load_config  # takes packages that a bundle does without

        self.expect(self.config_file)
        self.expect(self.class_names_file)
        config = load_config(self.config_file)
        if not (config.data and config.frames.size and config.frames.fps):
            raise DataError(f"{self.config_file}: damaged, or not written by a run. Train again")
        files = {stream: file_of(self.backbones, stream) for stream in config.external}
        return config.with_files({stream: str(file) for stream, file in files.items() if file})

    def expect(self, file: Path, make: str = "") -> None:
        """Makes sure that a file of the run is there, which training makes, or what `make` says.

        Raises:
            DataError: It is not; the message says what to do: `make`, or which run to name.
        """
        if file.is_file():
            return
        if not make and self.bundle_file.is_file() and not self.model_file.is_file():
            origin = self.exported_from
            named = f": {origin.folder}" if origin else ""
            raise DataError(
                f"{self.folder}: an export, which can classify and nothing else. Name the run that "
                f"it came from{named}"
            )
        if not make and self.fusion_file.is_file():
            raise DataError(
                f"{self.folder}: fused runs, which classify and are evaluated together. Name one "
                f"of those that were fused: see runs in {self.fusion_file}"
            )
        if not make and folds_of(self.folder):
            raise DataError(
                f"{self.folder}: a cross-validation, which measures and does not classify. Name a "
                "run, or two cross-validations to measure them together"
            )
        make = make or self._other_run()
        raise DataError(f"{self.folder}: no trained model here, {file.name} is missing. {make}")

    def _other_run(self) -> str:
        models = (
            *self.folder.glob(f"[!.]*/{self.model_file.name}"),
            *self.folder.parent.glob(f"[!.]*/{self.model_file.name}"),
        )
        runs = [str(model.parent) for model in models if model.parent != self.folder]
        if not runs:
            return f"Train one: {command('train')}"
        by_likeness = difflib.get_close_matches(str(self.folder), runs, n=len(runs), cutoff=0.0)
        return f"Name one that is there: {listed(by_likeness, most=3)}"

    @property
    def exported_from(self) -> Run | None:
        """The run that it is an export of, if its path tells: `RUN/export/FORMAT`."""
        run = Run(self.folder.parent.parent)
        is_export = self.folder.parent == run.exports and run.model_file.is_file()
        return run if is_export else None

    def export_command(self, kind: str = "litert") -> str:
        """The command that exports it in a format, or once more if it is itself an export."""
        run = self.exported_from
        kind = self.folder.name if run else kind
        run = run or self
        folder = [run.folder] if run.model_file.is_file() else []
        return command("export", *folder, *(["--format", kind] if kind != "litert" else []))

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


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, of an export or of fused runs."""
    run = Run(folder)
    return any(file.is_file() for file in (run.config_file, run.bundle_file, run.fusion_file))


def folds_of(folder: Path) -> list[Run]:
    """The runs of a cross-validation in a folder, and not what a search left beside them."""
    return [
        Run(path) for path in sorted(folder.glob("fold-*")) if path.name[len("fold-") :].isdecimal()
    ]


def latest_run(runs: Path = RUNS) -> Run:
    """The run that can classify whose training ended last, however old its files are.

    Raises:
        DataError: There is none.
    """
    names = ("model.tflite", "fusion.json")
    found = [Run(file.parent) for name in names for file in runs.glob(f"[!.]*/{name}")]
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
        file = run.fusion_file if run.fusion_file.is_file() else run.litert_file
        return file.stat().st_mtime
