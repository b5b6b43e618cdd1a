"""What the metadata of a LiteRT file say of its input.

Source: `metadata_schema.fbs` of tflite-support, which gives the fields their numbers:
`ModelMetadata.subgraph_metadata` 3, `SubGraphMetadata.input_tensor_metadata` 2,
`TensorMetadata.process_units` 4, `NormalizationOptions.mean` 0 and `std` 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.foreign.reading import Reading

_NAME = b"TFLITE_METADATA"
_NORMALIZATION = 1
"""Of the union `ProcessUnitOptions`."""


def said_by(content: bytes) -> Reading:
    """Mean and standard deviation of the pixels that a LiteRT network takes; empty if not said."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name() == _NAME:
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return _said_by(bytes(np.asarray(data, np.uint8)))
    return Reading()


def _said_by(metadata: bytes) -> Reading:
    """The same of the metadata themselves: the first input of the first subgraph."""
    from flatbuffers import encode, number_types
    from flatbuffers.table import Table

    root = Table(metadata, encode.Get(number_types.UOffsetTFlags.packer_type, metadata, 0))
    inputs = [each for graph in _tables(root, 3)[:1] for each in _tables(graph, 2)[:1]]
    for unit in (unit for tensor in inputs for unit in _tables(tensor, 4)):
        kind = unit.Offset(4)
        if kind and unit.Get(number_types.Uint8Flags, unit.Pos + kind) == _NORMALIZATION:
            options = Table(metadata, 0)
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
