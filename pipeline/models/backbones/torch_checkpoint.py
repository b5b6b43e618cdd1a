"""Reads a checkpoint of PyTorch without PyTorch, and without running what it may hold.

The format is the one of `torch.save` before it wrote zip files: pickles of a magic number, of a
version, of the machine's number formats, of the object, in which each storage is only named, and
of the storages' names; then the numbers of each storage, after their count.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from pipeline.errors import DataError
from pipeline.text import one_line

Tensors: TypeAlias = dict[str, np.ndarray]

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
VERSION = 1001
DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_checkpoint(path: Path) -> Tensors:
    """Reads the tensors of a model's state.

    Args:
        path: A file that `torch.save(model.state_dict(), path)` wrote, before PyTorch 1.6 or with
            `_use_new_zipfile_serialization=False`.

    Returns:
        The arrays by name, in the order of the file.

    Raises:
        DataError: The file is no such checkpoint, is damaged, or holds anything but tensors.
    """
    if zipfile.is_zipfile(path):
        raise DataError(
            f"{path}: in the zip format of PyTorch. Expected the older one: "
            "torch.save(state, path, _use_new_zipfile_serialization=False)"
        )
    with path.open("rb") as file:
        try:
            return _read(file, path.stat().st_size)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        except Exception as error:  # what unpickling raises depends on what is wrong in the file
            problem = f"not a PyTorch checkpoint, or damaged: {one_line(error)}"
            raise DataError(f"{path}: {problem}") from None


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Makes tensors and dictionaries of them, and calls nothing else.

    The classes and functions that a pickle names are called with arguments of its choice, so
    that one that may name any of them may do anything.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise DataError(
            f"it asks for {module}.{name}. Expected a state of tensors: a file that asks for "
            "anything else may do harm, and is not read"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, length, view = pid
        if kind != "storage" or view is not None or dtype not in DTYPES.values():
            raise ValueError("a storage of an unknown kind")
        return _Storage(key, dtype, _count(length))


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    """Stand-in for `torch._utils._rebuild_tensor_v2`, until the storages have been read."""
    counts = [tuple(map(_count, axis)) for axis in (size, stride)]
    if not isinstance(storage, _Storage) or len(counts[0]) != len(counts[1]):
        raise ValueError("a tensor of an unknown kind")
    return _Tensor(storage, _count(offset), *counts)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a count, received {value!r}")
    return value


def _read(file: BinaryIO, file_size: int) -> Tensors:
    header = [_Unpickler(file).load() for _ in range(3)]
    if header[:2] != [MAGIC_NUMBER, VERSION] or header[2]["little_endian"] is not True:
        raise ValueError("it does not begin as one")
    state = _Unpickler(file).load()
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in state.items()
    ):
        raise ValueError("expected the state of a model: tensors by name")
    named = {tensor.storage for tensor in state.values()}
    storages = {storage.key: storage for storage in named}
    keys = _Unpickler(file).load()
    if sorted(keys) != sorted(storage.key for storage in named):
        raise ValueError("its storages are not those that its tensors name")
    numbers = {key: _read_storage(file, storages[key], file_size) for key in keys}
    if file.read(1):
        raise ValueError("something follows after its end")
    return {name: _array(tensor, numbers[tensor.storage.key]) for name, tensor in state.items()}


def _read_storage(file: BinaryIO, storage: _Storage, file_size: int) -> np.ndarray:
    length = int.from_bytes(file.read(8), "little")
    if length != storage.length:
        raise ValueError(f"a storage of {length} numbers, not {storage.length}")
    num_bytes = length * np.dtype(storage.dtype).itemsize
    if num_bytes > file_size - file.tell():
        raise ValueError("it is cut off")
    return np.frombuffer(file.read(num_bytes), storage.dtype)


def _array(tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    steps = zip(tensor.size, tensor.stride, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    total = math.prod(tensor.size)
    # Strides are followed without a look at bounds, and may read one number any number of times.
    if total > len(numbers) or last >= len(numbers):
        raise ValueError(f"a tensor of {tensor.size} does not fit its storage")
    strides = [stride * numbers.itemsize for stride in tensor.stride]
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.size, strides, writeable=False
    ).copy()
