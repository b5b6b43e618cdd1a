"""Opening the model of a run, whatever it was exported to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from pipeline.errors import DataError
from pipeline.importing import import_tensorflow
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.networks import LiteRTFile, Network, NetworkError, open_network
from pipeline.run import Run

RuntimeName = Literal["auto", "savedmodel", "keras"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)

ONNX_FILES: Final = {
    "serving_default": "clip.onnx",
    "features": "features.onnx",
    "temporal": "temporal.onnx",
}
"""Of the parts of a network; there may be no `features`."""


class ExportedModel(Runtime):
    """An exported model, each part of which is a network in a file.

    Raises:
        KeyError: It lacks a part that all have, or that one gives no logits.
    """

    def __init__(self, path: Path, parts: Mapping[str, Network]) -> None:
        self.path, self._parts = path, parts
        self.num_classes = parts["temporal"].outputs["logits"].shape[-1] or 0
        _ = parts["serving_default"]

    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """See `Runtime`."""
        taken = self._parts[part].inputs if part in self._parts else {}
        return {name: tuple(size or 0 for size in each.shape[1:]) for name, each in taken.items()}

    def run(self, part: str, inputs: Arrays) -> Floats:
        """See `Runtime`."""
        return self._parts[part](inputs)


def open_model(run: Run, runtime: RuntimeName, *, num_threads: int) -> Runtime:
    """Opens the model of a run or of an export, see `pipeline.inference.classifier.Classifier`.

    Raises:
        DataError: There is none, it cannot be used, or it would have to be trusted.
        ConfigError: The package that runs it is missing.
    """
    if runtime != "auto":
        import_tensorflow()
        from pipeline.inference.tensorflow import open_keras, open_saved_model

        return open_keras(run) if runtime == "keras" else open_saved_model(_saved_model(run))
    for path in (run.litert_file, run.onnx):
        if path.exists():
            return open_runtime(path, num_threads=num_threads)
    if run.saved_model.exists():
        raise DataError(
            f"{run.saved_model}: a SavedModel can run any program. If you trust who made it, ask "
            "for it: --runtime savedmodel, in Python runtime='savedmodel'"
        )
    run.expect(run.litert_file, make=f"Export it: {run.export_command()}")
    return open_runtime(run.litert_file, num_threads=num_threads)


def _saved_model(run: Run) -> Path:
    if run.saved_model.exists():
        return run.saved_model
    trained = run.exported_from or run
    export = Run(trained.exports / "savedmodel")
    first = "" if export.saved_model.exists() else f"{trained.export_command('savedmodel')}, then "
    raise DataError(f"{run.folder}: no SavedModel here. Next: {first}--run {export.folder}")


def open_runtime(path: Path, *, num_threads: int = 1) -> Runtime:
    """Opens an exported model that can compute and nothing else, whoever made it.

    A SavedModel can do anything, such as write files: `pipeline.inference.tensorflow` opens one.

    Args:
        path: A `.tflite` file, or a folder of ONNX files.
        num_threads: For one clip, where the runtime lets one say.

    Raises:
        DataError: It cannot be used.
        ConfigError: The package that runs it is missing.
    """
    is_litert = path.suffix == ".tflite"
    again = f"Export it again: {Run(path.parent).export_command('litert' if is_litert else 'onnx')}"
    try:
        parts = (_litert_parts if is_litert else _onnx_parts)(path, num_threads)
    except (NetworkError, OSError):
        kind = "a LiteRT model" if is_litert else "an exported ONNX model"
        raise DataError(f"{path}: not {kind}, or damaged. {again}") from None
    try:
        return ExportedModel(path, parts)
    except KeyError:
        raise DataError(f"{path}: exported by another version of this program. {again}") from None


def _litert_parts(path: Path, num_threads: int) -> dict[str, Network]:
    # Strangers make folders of that name.
    file = LiteRTFile(path.read_bytes() if path.is_file() else b"", num_threads)
    return {name: file.network(name) for name in file.signatures}


def _onnx_parts(path: Path, num_threads: int) -> dict[str, Network]:
    return {
        name: open_network(path / file, num_threads)
        for name, file in ONNX_FILES.items()
        if (path / file).is_file() or name != "features"
    }
