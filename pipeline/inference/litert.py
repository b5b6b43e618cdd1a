"""Running an exported model: ai-edge-litert and NumPy, no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from pipeline.errors import DataError
from pipeline.native_log import silent_native_log


class LiteRTModel:
    """A model file of a run.

    Args:
        path: The `model.tflite`.
        num_threads: Threads for one clip.

    Raises:
        DataError: The file is not a model.
    """

    def __init__(self, path: Path, *, num_threads: int = 1) -> None:
        try:
            with silent_native_log():
                interpreter = Interpreter(str(path), num_threads=num_threads)
                interpreter.allocate_tensors()
                self._run = interpreter.get_signature_runner()
        except (ValueError, RuntimeError):
            raise DataError(
                f"{path}: not a LiteRT model, or damaged. Export it again: python scripts/export.py"
            ) from None

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """What it takes of a clip: `frames` and `flow` of shape (T, H, W, 3), `mask` of (T,)."""
        details = self._run.get_input_details()
        return {name: tuple(map(int, each["shape"][1:])) for name, each in details.items()}

    @property
    def num_classes(self) -> int:
        """Classes that the model tells apart (C)."""
        (output,) = self._run.get_output_details().values()
        return int(output["shape"][-1])

    def logits(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Any:
        """The logits float32 (C,) of one clip.

        Args:
            inputs: What `input_shapes` names: `frames` uint8 (T, H, W, 3), RGB, `flow` of the
                same type and shape, or both; and `mask` bool (T,), true for real frames.
        """
        (logits,) = self._run(**{name: each[None] for name, each in inputs.items()}).values()
        return logits[0]
