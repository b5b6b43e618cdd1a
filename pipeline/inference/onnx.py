"""ONNX: the parts of a network as a file each."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, DataError
from pipeline.inference.runtime import Arrays, Logits
from pipeline.text import command

_FILES = {
    "serving_default": "clip.onnx",
    "features": "features.onnx",
    "temporal": "temporal.onnx",
    "step": "step.onnx",
}
_OPSET = 18


def write_onnx(model: Any, config: Any, folder: Path) -> None:
    """Writes a file for each of `pipeline.models.parts`, for any number of clips at once.

    Args:
        model: The recogniser, of Keras.
        config: Its run.
        folder: Where to.

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


class ONNXModel:
    """The files of a model, run by onnxruntime; see `Runtime`.

    Args:
        path: Their folder.
        num_threads: Threads for one clip.

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
                if (path / file).is_file() or name != "step"
            }
        except Exception:  # onnxruntime's errors have no class of their own in common
            raise DataError(
                f"{path}: not an exported ONNX model, or damaged. Export it again: "
                + command("export", "RUN", "--format", "onnx")
            ) from None

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """What a clip is: `frames` and `flow` of shape (T, H, W, 3), `mask` of (T,)."""
        inputs = self._sessions["serving_default"].get_inputs()
        return {each.name: tuple(each.shape[1:]) for each in inputs}

    @property
    def num_classes(self) -> int:
        """Classes that the model tells apart (C)."""
        (output,) = self._sessions["temporal"].get_outputs()
        return int(output.shape[-1])

    @property
    def state_size(self) -> int | None:
        """Length of the state of `step`; None where the network looks ahead and has no `step`."""
        if "step" not in self._sessions:
            return None
        shapes = {each.name: each.shape for each in self._sessions["step"].get_inputs()}
        return int(shapes["state"][-1])

    def clip_logits(self, clip: Arrays) -> Logits:
        """See `Runtime`."""
        return self._run("serving_default", _batch(clip))["logits"][0]

    def features(self, pairs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """See `Runtime`."""
        return self._run("features", pairs)

    def logits(self, features: Arrays, mask: npt.NDArray[np.bool_]) -> Logits:
        """See `Runtime`."""
        return self._run("temporal", _batch({**features, "mask": mask}))["logits"][0]

    def step(self, features: Arrays, state: Logits) -> tuple[Logits, Logits]:
        """See `Runtime`."""
        found = self._run("step", _batch({**features, "state": state}))
        return found["logits"][0], found["next_state"][0]

    def _run(self, part: str, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        session = self._sessions[part]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _batch(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {name: each[None] for name, each in arrays.items()}


def _import(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"ONNX needs {name}: pip install 'clipline[onnx]', in a clone: pip install -e '.[onnx]'"
        ) from None
