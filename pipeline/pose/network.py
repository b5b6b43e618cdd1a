"""A network of one image, run by LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.native_log import silent_native_log
from pipeline.text import command

Floats = npt.NDArray[np.float32]
Network = Callable[[Floats], Sequence[Floats]]
"""Takes an image, float32 (S, S, 3); gives its outputs."""


class LiteRTNetwork:
    """A model file with one input and outputs by name, on one thread; not for several at once.

    Args:
        path: The file.
        outputs: Names of the outputs, in the order in which they are given.

    Raises:
        DataError: The file is not there, damaged, or another model.
    """

    def __init__(self, path: Path, outputs: Sequence[str]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        again = f"To get the models of poses: {command('fetch', 'pose')}"
        if not path.is_file():
            raise DataError(f"{path}: there is no such file. {again}")
        try:
            with silent_native_log():
                self._interpreter: Any = Interpreter(str(path), num_threads=1)
                self._interpreter.allocate_tensors()
            (self._input,) = (each["index"] for each in self._interpreter.get_input_details())
            found = {each["name"]: each["index"] for each in self._interpreter.get_output_details()}
            self._outputs = [found[name] for name in outputs]
        except (ValueError, RuntimeError, KeyError):
            raise DataError(f"{path}: not a model of poses, or damaged. {again}") from None

    def __call__(self, image: Floats) -> list[Floats]:
        """See `Network`."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
