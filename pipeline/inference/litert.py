"""Running an exported model: ai-edge-litert and NumPy, no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from pipeline.errors import DataError
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.native_log import silent_native_log
from pipeline.run import Run
from pipeline.spares import Spares

_PARTS = {"serving_default", "temporal"}


class LiteRTModel(Runtime):
    """A model file of a run, with so many threads for one clip; see `Runtime`.

    An interpreter of LiteRT holds the inputs and outputs of one call at a time. So there are
    several.

    Raises:
        DataError: The file is not a model, or of another version.
    """

    def __init__(self, path: Path, *, num_threads: int = 1) -> None:
        self.path = path
        # Read once: the file may be another one later. Strangers make folders of that name.
        content = path.read_bytes() if path.is_file() else b""
        first = _Interpreter(path, content, num_threads)
        self._interpreters = Spares(lambda: _Interpreter(path, content, num_threads), first)
        self.num_classes = int(first.part("temporal").get_output_details()["logits"]["shape"][-1])

    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """See `Runtime`."""
        with self._interpreters.borrowed() as interpreter:
            if part not in interpreter.signatures:
                return {}
            details = interpreter.part(part).get_input_details()
        return {name: tuple(map(int, each["shape"][1:])) for name, each in details.items()}

    def run(self, part: str, inputs: Arrays) -> Floats:
        """See `Runtime`."""
        with self._interpreters.borrowed() as interpreter:
            return interpreter.call(part, inputs)


class _Interpreter:
    """A LiteRT interpreter, which runs the parts of a model for one thread at a time."""

    def __init__(self, path: Path, content: bytes, num_threads: int) -> None:
        again = f"Export it again: {Run(path.parent).export_command()}"
        try:
            with silent_native_log():
                self._interpreter = Interpreter(model_content=content, num_threads=num_threads)
        except (ValueError, RuntimeError):
            raise DataError(f"{path}: not a LiteRT model, or damaged. {again}") from None
        self.signatures = self._interpreter.get_signature_list()
        if not self.signatures.keys() >= _PARTS:
            raise DataError(f"{path}: exported by another version of this program. {again}")
        self._runners: dict[str, Any] = {}
        self._called: set[str] = set()

    def part(self, name: str) -> Any:
        """The runner of a part; its memory is taken when it is first asked for."""
        if name not in self._runners:
            self._runners[name] = self._interpreter.get_signature_runner(name)
        return self._runners[name]

    def call(self, part: str, inputs: Arrays) -> Floats:
        """The outputs of a part, in memory of their own."""
        if part in self._called:
            return dict(self._runners[part](**inputs))
        self._called.add(part)
        with silent_native_log():  # the first call tells of delegates
            return dict(self.part(part)(**inputs))
