"""Opening the model of a run, whatever it was exported to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import DataError
from pipeline.importing import import_tensorflow
from pipeline.inference.runtime import Runtime
from pipeline.run import Run

RuntimeName = Literal["auto", "savedmodel", "keras"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)


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
    if path.suffix == ".tflite":
        from pipeline.inference.litert import LiteRTModel

        return LiteRTModel(path, num_threads=num_threads)
    from pipeline.inference.onnx import ONNXModel

    return ONNXModel(path, num_threads=num_threads)
