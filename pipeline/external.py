"""External backbones: frozen networks in files, a frame in, features out, without TensorFlow.

Source: `MetadataProps.md` of ONNX; `metadata_schema.fbs` of tflite-support, which gives the fields
their numbers: `ModelMetadata.subgraph_metadata` 3, `SubGraphMetadata.input_tensor_metadata` 2,
`TensorMetadata.process_units` 4, `NormalizationOptions.mean` 0 and `std` 1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, DataError
from pipeline.networks import Array, Network, NetworkError, Tensor, open_network
from pipeline.video import resize

Channels = Literal["auto", "rgb", "bgr"]

SUFFIXES = (".tflite", ".onnx")
"""Of the files that hold such networks."""

_LITERT_ENTRY: Final = "TFLITE_METADATA"
_NORMALIZATION: Final = 1
"""Of the union `ProcessUnitOptions`."""

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_AT_ONCE = 16
"""Frames in a call, where the file takes any number."""
_INTEGERS = {"uint8": (0, 255), "int8": (-128, 127)}
_DTYPES = {".tflite": ("float32", "uint8", "int8"), ".onnx": ("float32", "float16", "uint8")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How a network takes frames, and which of its features count.

    Attributes:
        mean: Taken off pixels, 0 to 255, of all channels or of red, green and blue; empty: what
            the file says.
        std: What the rest is divided by, likewise.
        channels: Their order; `auto`: what the file says, else `rgb`.
        grid: Cells a side that a map of features is averaged to, at most; 1 or more.

    Raises:
        ConfigError: A value is not one of these.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels = "auto"
    grid: int = 4

    def __post_init__(self) -> None:
        alike = len(self.mean) == len(self.std) and len(self.mean) in (0, 1, 3)
        if not alike or any(each <= 0 for each in self.std):
            raise ConfigError(
                "backbone.mean and backbone.std must both be one number, or one for red, green and "
                f"blue, and std above 0. Received: {list(self.mean)}, {list(self.std)}"
            )
        if self.grid < 1:
            raise ConfigError(f"backbone.grid must be at least 1. Received: {self.grid}")


_RANGES = {
    b"NominalRange_0_255": Reading(mean=(0.0,), std=(1.0,)),
    b"Normalized_0_1": Reading(mean=(0.0,), std=(255.0,)),
    b"Normalized_1_1": Reading(mean=(127.5,), std=(127.5,)),
}


def said_by(metadata: Mapping[str, bytes]) -> Reading:
    """Values and order of the pixels that a network takes, as far as its file says them.

    Args:
        metadata: See `pipeline.networks.Network`.

    Example:
        >>> said_by({"Image.BitmapPixelFormat": b"Bgr8"}).channels
        'bgr'
    """
    if _LITERT_ENTRY in metadata:
        return _said_by_litert(metadata[_LITERT_ENTRY])
    known = _RANGES.get(metadata.get("Image.NominalPixelRange", b""), Reading())
    order = metadata.get("Image.BitmapPixelFormat", b"").lower()[:3]
    channels: Channels = "bgr" if order == b"bgr" else "auto"
    return Reading(mean=known.mean, std=known.std, channels=channels)


def _said_by_litert(content: bytes) -> Reading:
    """Mean and standard deviation for the first input of the first subgraph."""
    from flatbuffers import encode, number_types  # comes with LiteRT
    from flatbuffers.table import Table

    root = Table(content, encode.Get(number_types.UOffsetTFlags.packer_type, content, 0))
    inputs = [each for graph in _tables(root, 3)[:1] for each in _tables(graph, 2)[:1]]
    for unit in (unit for tensor in inputs for unit in _tables(tensor, 4)):
        kind = unit.Offset(4)
        if kind and unit.Get(number_types.Uint8Flags, unit.Pos + kind) == _NORMALIZATION:
            options = Table(content, 0)
            unit.Union(options, unit.Offset(6))
            return Reading(mean=_floats(options, 0), std=_floats(options, 1))
    return Reading()


def _tables(table: Any, field: int) -> list[Any]:
    """The tables of a vector of them, by the number of its field."""
    from flatbuffers.table import Table

    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    start = table.Vector(offset)
    places = range(start, start + 4 * table.VectorLen(offset), 4)
    return [Table(table.Bytes, table.Indirect(place)) for place in places]


def _floats(table: Any, field: int) -> tuple[float, ...]:
    from flatbuffers import number_types

    offset = table.Offset(4 + 2 * field)
    if not offset:
        return ()
    found = table.GetVectorAsNumpy(number_types.Float32Flags, offset)
    return tuple(map(float, found))


class FrameNetwork:
    """A network in a file, which turns frames into features; threads may share it.

    Args:
        network: What runs it.
        reading: How it takes frames.
        path: Of the file, for messages.
        size: Height and width of the frames that it will be given.

    Raises:
        ConfigError: It is not said which values it takes.
        DataError: It takes no frames, or gives no features.
    """

    def __init__(self, network: Network, reading: Reading, path: Path, size: int) -> None:
        self._network, self._path, self._size = network, path, size
        self._name, self._given = _only(path, network.inputs, "input")
        self._output, self._found = _only(path, network.outputs, "output")
        given, known = self._given, _DTYPES[path.suffix]
        if given.dtype not in known:
            raise DataError(
                f"{path}: expected an input of {', '.join(known)}. Received: {given.dtype}"
            )
        self._channels_first = _channel_axis(path, given.shape) == 1
        height, width = given.shape[2:] if self._channels_first else given.shape[1:3]
        self._sides = (height or size, width or size)
        said, is_integer = said_by(network.metadata), given.dtype in _INTEGERS
        self._reading = _complete(path, reading, said, is_integer=is_integer)

    def __call__(self, frames: Frames) -> Floats:
        """The features, float32 (N, F), of frames, uint8 (N, H, W, 3), RGB.

        Raises:
            DataError: The network cannot be run, or gives no features.
        """
        values = self._values(frames)
        number = self._given.shape[0] or _AT_ONCE
        parts = [self._features(values[i : i + number]) for i in range(0, len(values), number)]
        return np.concatenate(parts)

    @functools.cached_property
    def num_features(self) -> int:
        """How many features a frame has (F).

        Raises:
            DataError: The network cannot be run, or gives no features.
        """
        return self(np.zeros((1, self._size, self._size, 3), np.uint8)).shape[1]

    def _features(self, values: Array) -> Floats:
        number, batch = len(values), self._given.shape[0] or len(values)
        if number < batch:
            values = np.pad(values, [(0, batch - number), *[(0, 0)] * 3])
        try:
            raw = self._network({self._name: values})[self._output]
        except NetworkError as error:
            raise DataError(f"{self._path}: cannot be run: {error}") from None
        found = (raw.astype(np.float32) - self._found.zero) * np.float32(self._found.step)
        if found.ndim not in (2, 4) or len(found) != batch:
            raise DataError(
                f"{self._path}: expected one output, of features (N, F) or (N, h, w, F). Received: "
                f"{found.shape} for {batch} frames"
            )
        if found.ndim == 4 and self._channels_first:
            found = found.transpose(0, 2, 3, 1)
        return _on_grid(found[:number], self._reading.grid)

    def _values(self, frames: Frames) -> Array:
        """Frames as the network takes them."""
        given, reading = self._given, self._reading
        images = np.stack([resize(frame, self._sides) for frame in frames])
        if not reading.mean:  # the integers that pixels are
            values = images.astype(np.float32) + _INTEGERS[given.dtype][0]
        else:
            mean, std = np.array(reading.mean, np.float32), np.array(reading.std, np.float32)
            values = (images.astype(np.float32) - mean) / std
            if given.dtype in _INTEGERS:
                lowest, highest = _INTEGERS[given.dtype]
                values = np.rint(values / given.step) + given.zero
                values = np.clip(values, lowest, highest)
        if reading.channels == "bgr":
            values = values[..., ::-1]
        if self._channels_first:
            values = values.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(values.astype(given.dtype))


def open_backbone(path: Path, reading: Reading, *, size: int, num_threads: int = 1) -> FrameNetwork:
    """Opens an external backbone in a file of LiteRT or ONNX, which can compute and nothing else.

    Args:
        path: A `.tflite` or `.onnx` file.
        reading: How it takes frames.
        size: Height and width of the frames that it will be given.
        num_threads: For one call.

    Raises:
        ConfigError: There is no such file, it is not said which values it takes, or the package
            that runs it is missing.
        DataError: The file is damaged, or holds no network of frames.
    """
    if not path.is_file():
        raise ConfigError(f"backbone.name {path}: there is no such file")
    try:
        network = open_network(path, num_threads)
    except NetworkError as error:
        kind = "an ONNX" if path.suffix == ".onnx" else "a LiteRT"
        raise DataError(f"{path}: not {kind} network, or damaged: {error}") from None
    return FrameNetwork(network, reading, path, size)


def file_of(folder: Path, stream: str) -> Path | None:
    """The file of a stream's network in the folder that a run has for them; None: no such file."""
    files = (folder / f"{stream}{suffix}" for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _only(path: Path, found: Mapping[str, Tensor], kind: str) -> tuple[str, Tensor]:
    """The only input or output of a network, with its name."""
    if len(found) != 1:
        raise DataError(f"{path}: expected one {kind}. Received: {len(found)}")
    return next(iter(found.items()))


def _channel_axis(path: Path, shape: tuple[int | None, ...]) -> int:
    """The axis of the three channels, 1 or 3; the last one if both may be."""
    for axis in (3, 1):
        if len(shape) == 4 and shape[axis] == 3:
            return axis
    shown = tuple("any" if size is None else size for size in shape)
    raise DataError(
        f"{path}: expected one input, of frames (N, H, W, 3) or (N, 3, H, W). Received: "
        f"({', '.join(map(str, shown))})"
    )


def _complete(path: Path, reading: Reading, said: Reading, *, is_integer: bool) -> Reading:
    """How frames are taken, with what the file says where nothing else is."""
    known = reading if reading.mean else said
    if not known.mean and not is_integer:
        raise ConfigError(
            f"{path} does not say which values it takes, (pixel - mean) / std. Give both: "
            "--backbone.mean '[127.5]' --backbone.std '[127.5]' for -1 to 1, 0 and 255 for 0 to 1, "
            "0 and 1 for 0 to 255, or those of red, green and blue"
        )
    channels = said.channels if reading.channels == "auto" else reading.channels
    return dataclasses.replace(reading, mean=known.mean, std=known.std, channels=channels)


def _on_grid(features: Floats, grid: int) -> Floats:
    """Maps (N, h, w, F) averaged to at most `grid` cells a side, in a row; rows as they are."""
    if features.ndim == 2:
        return features
    side = max(features.shape[1:3])
    if side > grid:
        for axis in (1, 2):
            features = _averaged(features, axis, math.ceil(side / grid))
    return features.reshape(len(features), -1)


def _averaged(maps: Floats, axis: int, step: int) -> Floats:
    """Means of `step` cells; of what is left over, half is before the first whole one."""
    length = maps.shape[axis]
    starts = np.maximum(np.arange(-(-length % step // 2), length, step), 0)
    counts = np.diff([*starts, length]).astype(np.float32)
    sums = np.add.reduceat(maps, starts, axis)
    return np.asarray(sums / counts.reshape([-1 if each == axis else 1 for each in range(4)]))
