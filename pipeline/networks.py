"""Networks in files of LiteRT and ONNX: named arrays in, named arrays out, without TensorFlow.

Exported models, models of poses and external backbones are all run here.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from queue import LifoQueue
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError
from pipeline.native_log import silent_native_log
from pipeline.text import extra, one_line

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


class NetworkError(RuntimeError):
    """A file that holds no network, or a network that cannot be run; the text says why."""


class Tensor(NamedTuple):
    """What a network takes or gives, as its file says.

    Attributes:
        shape: With None where any number will do.
        dtype: As NumPy calls it, such as float32.
        step: Of integers: a number is `step` times what an integer is above `zero`.
        zero: Of integers, see there.
    """

    shape: tuple[int | None, ...]
    dtype: str
    step: float = 1.0
    zero: int = 0


class Network(ABC):
    """A network in a file, which can compute and nothing else.

    Threads may call one at once: each gets what it would get alone.

    Attributes:
        inputs: What it takes, by name.
        outputs: What it gives, likewise, in the order of the file.
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]

    @abstractmethod
    def __call__(self, inputs: Arrays) -> dict[str, Array]:
        """The outputs by name, in memory of their own; integers as they are.

        Raises:
            NetworkError: It cannot be run.
        """

    @property
    @abstractmethod
    def metadata(self) -> Mapping[str, bytes]:
        """What else its file says, by name."""


def open_network(path: Path, num_threads: int = 1) -> Network:
    """Opens a `.onnx` file, or the main network of a file of LiteRT.

    Args:
        path: The file. It is read once: it may be another one later.
        num_threads: For one call.

    Raises:
        NetworkError: It is damaged, or something else.
        ConfigError: It is one of ONNX, and onnxruntime is not installed.
    """
    content = path.read_bytes()
    if path.suffix == ".onnx":
        return _ONNXNetwork(content, num_threads)
    return LiteRTFile(content, num_threads).network()


class LiteRTFile:
    """The networks in a file of LiteRT: the main one, and others by name, its signatures.

    An interpreter holds the inputs and outputs of one call at a time. So one more is made whenever
    a thread finds none free. There are no more than processor cores; who comes then waits.

    Args:
        content: Of the file.
        num_threads: For one call.

    Attributes:
        signatures: Names of the networks that it holds besides the main one.

    Raises:
        NetworkError: It is damaged, or something else.
    """

    def __init__(self, content: bytes, num_threads: int = 1) -> None:
        self._content, self._num_threads = content, num_threads
        first = _Interpreter(content, num_threads)
        self.signatures = first.signatures
        # The last one in is the first one out: one is made only while all others are busy.
        self._free: LifoQueue[_Interpreter | None] = LifoQueue()
        for _ in range(1, os.cpu_count() or 1):
            self._free.put(None)
        self._free.put(first)

    def network(self, signature: str = "") -> Network:
        """The main network, or that of a signature.

        Raises:
            NetworkError: It cannot be set up.
        """
        return _LiteRTNetwork(self, signature)

    @contextmanager
    def interpreter(self) -> Iterator[_Interpreter]:
        """One that no other thread uses meanwhile."""
        one = self._free.get()
        try:
            one = one if one is not None else _Interpreter(self._content, self._num_threads)
            yield one
        finally:
            self._free.put(one)

    @cached_property
    def metadata(self) -> Mapping[str, bytes]:
        """See `Network`."""
        from ai_edge_litert import schema_py_generated as schema  # takes a while

        model = schema.Model.GetRootAs(self._content, 0)
        entries = [model.Metadata(number) for number in range(model.MetadataLength())]
        return {
            each.Name().decode(): np.asarray(
                model.Buffers(each.Buffer()).DataAsNumpy(), np.uint8
            ).tobytes()
            for each in entries
        }


class _LiteRTNetwork(Network):
    """See `LiteRTFile.network`."""

    def __init__(self, file: LiteRTFile, signature: str) -> None:
        self._file, self._signature = file, signature
        with file.interpreter() as interpreter:
            runner = interpreter.runner(signature)
            self.inputs = _tensors(runner.get_input_details())
            self.outputs = _tensors(runner.get_output_details())

    def __call__(self, inputs: Arrays) -> dict[str, Array]:
        """See `Network`."""
        with self._file.interpreter() as interpreter:
            return interpreter.call(self._signature, inputs)

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """See `Network`."""
        return self._file.metadata


class _Interpreter:
    """An interpreter of LiteRT, which runs the networks of a file for one thread at a time."""

    def __init__(self, content: bytes, num_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _told(), silent_native_log():
            self._interpreter = Interpreter(model_content=content, num_threads=num_threads)
            self.signatures = frozenset(self._interpreter.get_signature_list())
        self._runners: dict[str, Any] = {}
        self._called: set[str] = set()

    def runner(self, signature: str) -> Any:
        """What runs a signature, or, without a name, the main network."""
        if signature not in self._runners:
            with _told(), silent_native_log():
                self._runners[signature] = (
                    self._interpreter.get_signature_runner(signature)
                    if signature
                    else _MainRunner(self._interpreter)
                )
        return self._runners[signature]

    def call(self, signature: str, inputs: Arrays) -> dict[str, Array]:
        """Runs a network."""
        runner = self.runner(signature)
        with _told():
            if signature in self._called:
                return dict(runner(**inputs))
            self._called.add(signature)
            with silent_native_log():  # the first call tells of delegates
                return dict(runner(**inputs))


class _MainRunner:
    """The main network of an interpreter, used as LiteRT's runners of signatures are."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        interpreter.allocate_tensors()

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self._interpreter.get_input_details()}

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self._interpreter.get_output_details()}

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        details = self.get_input_details()
        others = [name for name in inputs if inputs[name].shape != tuple(details[name]["shape"])]
        for name in others:
            self._interpreter.resize_tensor_input(details[name]["index"], inputs[name].shape)
        if others:
            self._interpreter.allocate_tensors()
        for name, values in inputs.items():
            self._interpreter.set_tensor(details[name]["index"], values)
        self._interpreter.invoke()
        return {
            name: self._interpreter.get_tensor(each["index"])
            for name, each in self.get_output_details().items()
        }


def _tensors(details: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
    """What LiteRT tells of tensors."""
    found = {}
    for name, each in details.items():
        shape = each.get("shape_signature", each["shape"])
        dtype = np.dtype(each["dtype"])
        step, zero = each["quantization"] if np.issubdtype(dtype, np.integer) else (1.0, 0)
        sizes = tuple(None if size < 0 else int(size) for size in shape)
        found[name] = Tensor(sizes, dtype.name, float(step) or 1.0, int(zero))
    return found


@contextmanager
def _told() -> Iterator[None]:
    """Says in an error of ours what LiteRT or onnxruntime does not take."""
    try:
        yield
    except Exception as error:  # onnxruntime's errors have no class of their own in common
        raise NetworkError(one_line(error)) from None


_NUMPY_NAMES = {"float": "float32", "double": "float64"}


class _ONNXNetwork(Network):
    """The network of a file of ONNX, with the weights in it."""

    def __init__(self, content: bytes, num_threads: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ConfigError(f"ONNX needs onnxruntime: {extra('onnx')}") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3
        with _told():
            self._session = onnxruntime.InferenceSession(content, options)
        self.inputs, self.outputs = (
            {each.name: _tensor(each) for each in found}
            for found in (self._session.get_inputs(), self._session.get_outputs())
        )

    def __call__(self, inputs: Arrays) -> dict[str, Array]:
        """See `Network`."""
        with _told():
            found = self._session.run(None, dict(inputs))
        return dict(zip(self.outputs, found, strict=True))

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """See `Network`."""
        entries = self._session.get_modelmeta().custom_metadata_map
        return {name: text.encode() for name, text in entries.items()}


def _tensor(found: Any) -> Tensor:
    """What onnxruntime tells of a tensor, whose type is such as `tensor(float)`."""
    kind = found.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in found.shape)
    return Tensor(shape, _NUMPY_NAMES.get(kind, kind))
