"""Running an exported model: ai-edge-litert and NumPy, no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from pipeline.errors import DataError
from pipeline.inference.runtimes import Arrays, Logits
from pipeline.native_log import silent_native_log

_PARTS = {"serving_default", "features", "temporal"}


class LiteRTModel:
    """A model file of a run; see `Runtime`.

    Args:
        path: The `model.tflite`.
        num_threads: Threads for one clip.

    Raises:
        DataError: The file is not a model, or of another version.
    """

    def __init__(self, path: Path, *, num_threads: int = 1) -> None:
        self.path = path
        again = "Export it again: python scripts/export.py"
        try:
            with silent_native_log():
                self._interpreter = Interpreter(str(path), num_threads=num_threads)
        except (ValueError, RuntimeError):
            raise DataError(f"{path}: not a LiteRT model, or damaged. {again}") from None
        self._signatures = self._interpreter.get_signature_list()
        if not self._signatures.keys() >= _PARTS:
            raise DataError(f"{path}: exported by another version of this program. {again}")
        self._runners: dict[str, Any] = {}

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """What a clip is: `frames` and `flow` of shape (T, H, W, 3), `mask` of (T,)."""
        details = self._part("serving_default").get_input_details()
        return {name: tuple(map(int, each["shape"][1:])) for name, each in details.items()}

    @property
    def num_classes(self) -> int:
        """Classes that the model tells apart (C)."""
        (output,) = self._part("temporal").get_output_details().values()
        return int(output["shape"][-1])

    @property
    def state_size(self) -> int | None:
        """Length of the state of `step`; None where the network looks ahead and has no `step`."""
        if "step" not in self._signatures:
            return None
        return int(self._part("step").get_input_details()["state"]["shape"][-1])

    def clip_logits(self, clip: Arrays) -> Logits:
        """See `Runtime`."""
        return self._run("serving_default", clip)["logits"][0]

    def features(self, pairs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """See `Runtime`."""
        return self._call("features", pairs)

    def logits(self, features: Arrays, mask: npt.NDArray[np.bool_]) -> Logits:
        """See `Runtime`."""
        return self._run("temporal", {**features, "mask": mask})["logits"][0]

    def step(self, features: Arrays, state: Logits) -> tuple[Logits, Logits]:
        """See `Runtime`."""
        found = self._run("step", {**features, "state": state})
        return found["logits"][0], found["next_state"][0]

    def _run(self, part: str, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        return self._call(part, {name: each[None] for name, each in inputs.items()})

    def _call(self, part: str, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        if part in self._runners:
            return dict(self._runners[part](**inputs))
        with silent_native_log():  # the first call tells of delegates
            return dict(self._part(part)(**inputs))

    def _part(self, name: str) -> Any:
        """What runs a part; the memory for it is taken when it is first asked for."""
        if name not in self._runners:
            self._runners[name] = self._interpreter.get_signature_runner(name)
        return self._runners[name]
