"""ONNX: the parts of a network as a file each."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.errors import ConfigError, DataError
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.run import Run
from pipeline.text import extra

_FILES = {
    "serving_default": "clip.onnx",
    "features": "features.onnx",
    "temporal": "temporal.onnx",
}
_OPSET = 18


def write_onnx(model: Any, config: Any, folder: Path) -> None:
    """Writes a file for each of `pipeline.models.parts`, for any number of clips at once.

    Raises:
        ConfigError: tf2onnx is not installed.
    """
    tf2onnx = _import("tf2onnx")
    import tensorflow as tf

    from pipeline.models.parts import Parts
    from pipeline.models.recognizer import float32_twin

    folder.mkdir()
    parts = Parts(float32_twin(model, config, for_export=True), config).functions(None)
    for name, (function, inputs) in parts.items():
        compiled = tf.function(function, input_signature=[inputs])
        tf2onnx.convert.from_function(
            compiled,
            input_signature=[inputs],
            opset=_OPSET,
            output_path=str(folder / _FILES[name]),
        )


class ONNXModel(Runtime):
    """A folder of files of a model, with so many threads for one clip; see `Runtime`.

    Raises:
        DataError: A file is missing or damaged.
        ConfigError: onnxruntime is not installed.
    """

    def __init__(self, path: Path, *, num_threads: int = 1) -> None:
        self.path = path
        runtime = _import("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads
        try:
            self._sessions = {
                name: runtime.InferenceSession(str(path / file), options)
                for name, file in _FILES.items()
                if (path / file).is_file() or name != "features"
            }
        except Exception:  # onnxruntime's errors have no class of their own in common
            raise DataError(
                f"{path}: not an exported ONNX model, or damaged. Export it again: "
                + Run(path.parent).export_command("onnx")
            ) from None

        self.num_classes = int(self._sessions["temporal"].get_outputs()[0].shape[-1])

    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """See `Runtime`."""
        inputs = self._sessions[part].get_inputs() if part in self._sessions else ()
        return {each.name: tuple(each.shape[1:]) for each in inputs}

    def run(self, part: str, inputs: Arrays) -> Floats:
        """See `Runtime`."""
        session = self._sessions[part]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _import(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"ONNX needs {name}: {extra('onnx')}") from None
