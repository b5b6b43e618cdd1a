"""Networks in files of LiteRT, also of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.foreign.file import Floats, Input, NetworkFile, NoFrameNetworkError, Values, only
from pipeline.foreign.metadata import said_by
from pipeline.native_log import silent_native_log
from pipeline.spares import Spares

_DTYPES = ("float32", "uint8", "int8")


class LiteRTFile(NetworkFile):
    """See `NetworkFile`.

    Args:
        content: Of the file.
        num_threads: For one call.

    Raises:
        ValueError, RuntimeError: It is no network of LiteRT, or not one of frames.
    """

    def __init__(self, content: bytes, num_threads: int) -> None:
        def make() -> _Interpreter:
            return _Interpreter(content, num_threads)

        first = make()
        self._interpreters = Spares(make, first)
        shape = tuple(None if size < 0 else int(size) for size in first.signature)
        step, zero = first.quantization
        self.input = Input(
            shape=shape, dtype=first.dtype, step=step, zero=zero, said=said_by(content)
        )

    def __call__(self, values: Values) -> Floats:
        """See `NetworkFile`."""
        with self._interpreters.borrowed() as interpreter:
            return interpreter(values)


class _Interpreter:
    """An interpreter, for one thread at a time."""

    def __init__(self, content: bytes, num_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with silent_native_log():
            self._interpreter: Any = Interpreter(model_content=content, num_threads=num_threads)
            self._interpreter.allocate_tensors()
        given = only(self._interpreter.get_input_details(), "input")
        self._input = given["index"]
        self._output = only(self._interpreter.get_output_details(), "output")["index"]
        self._shape = tuple(given["shape"])
        self.signature = tuple(given.get("shape_signature", given["shape"]))
        self.dtype = np.dtype(given["dtype"]).name
        if self.dtype not in _DTYPES:
            raise NoFrameNetworkError(
                f"expected an input of float32, uint8 or int8. Received: {self.dtype}"
            )
        self.quantization = _quantization(given)

    def __call__(self, values: Values) -> Floats:
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        details = only(self._interpreter.get_output_details(), "output")
        found = self._interpreter.get_tensor(self._output).astype(np.float32)
        if np.issubdtype(details["dtype"], np.integer):
            step, zero = _quantization(details)
            found = (found - zero) * np.float32(step)
        return np.asarray(found, np.float32)


def _quantization(details: dict[str, Any]) -> tuple[float, int]:
    """Step and zero of a tensor of integers; 1 and 0 of others."""
    if not np.issubdtype(details["dtype"], np.integer):
        return 1.0, 0
    step, zero = details["quantization"]
    return float(step) or 1.0, int(zero)
