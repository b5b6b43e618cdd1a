"""How an external backbone takes frames, as it is told or as its file says.

Source: `MetadataProps.md` of ONNX; `metadata_schema.fbs` of tflite-support, which gives the fields
their numbers: `ModelMetadata.subgraph_metadata` 3, `SubGraphMetadata.input_tensor_metadata` 2,
`TensorMetadata.process_units` 4, `NormalizationOptions.mean` 0 and `std` 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.errors import ConfigError

Channels = Literal["auto", "rgb", "bgr"]

SUFFIXES = (".tflite", ".onnx")
"""Of the files that hold such networks."""

_LITERT_ENTRY: Final = "TFLITE_METADATA"
_NORMALIZATION: Final = 1
"""Of the union `ProcessUnitOptions`."""


@dataclass(frozen=True, kw_only=True)
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
