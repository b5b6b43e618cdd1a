"""Tensors of the Open Inference Protocol V2, as JSON and as bytes behind it.

Source: Open Inference Protocol, "Inference Protocol V2" and its binary tensor data extension
(github.com/kserve/open-inference-protocol).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.config.checks import expect
from pipeline.errors import ConfigError, check_known

Arrays = dict[str, npt.NDArray[Any]]

LENGTH_HEADER: Final = "Inference-Header-Content-Length"
MOST_JSON_BYTES: Final = 32 * 2**20
"""Numbers as text take five times their bytes, and much more while they are read."""

_TYPES: Final = {"BOOL": np.bool_, "UINT8": np.uint8, "FP32": np.float32}


def type_name(dtype: str) -> str:
    """What the protocol calls a type of NumPy.

    Example:
        >>> type_name("uint8"), type_name("bool")
        ('UINT8', 'BOOL')
    """
    return next(name for name, each in _TYPES.items() if np.dtype(each) == np.dtype(dtype))


class InferRequest:
    """A request for the logits of tensors.

    Args:
        body: JSON, and the tensors that come as bytes behind it.
        json_bytes: How many of it are JSON; None: all.

    Attributes:
        id: What the client calls it.
        inputs: The tensors by name.
        outputs: By the names of the outputs that are asked for, whether as bytes; empty: all of
            them, as `binary_output` says.
        binary_output: Whether outputs that are not named are to be bytes.

    Raises:
        ConfigError: It is not of the protocol.
    """

    def __init__(self, body: bytes, json_bytes: int | None) -> None:
        end = len(body) if json_bytes is None else json_bytes
        expect(0 <= end <= len(body), f"{LENGTH_HEADER} must be within the body", end)
        if end > MOST_JSON_BYTES:
            raise ConfigError(
                f"expected at most {MOST_JSON_BYTES:,} bytes of JSON. Send tensors as bytes behind "
                f"it ({LENGTH_HEADER}), or the video itself to /v1/classify"
            )
        content = _parsed(body[:end])
        self.id = str(content.get("id", ""))
        self.inputs = _inputs(content.get("inputs"), body[end:])
        parameters = content.get("parameters", {})
        self.binary_output = _flag(parameters, "binary_data_output", default=False)
        outputs = _dicts(content.get("outputs", []), "outputs")
        self.outputs = {
            str(each.get("name")): _flag(
                each.get("parameters", {}), "binary_data", default=self.binary_output
            )
            for each in outputs
        }


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ConfigError("expected a JSON object, with inputs")
    return content


def _dicts(value: object, name: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ConfigError(f"{name}: expected a list of objects")
    return value


def _flag(parameters: object, name: str, *, default: bool) -> bool:
    value = parameters.get(name, default) if isinstance(parameters, dict) else default
    return bool(value)


def _inputs(described: object, data: bytes) -> Arrays:
    found: Arrays = {}
    rest = memoryview(data)
    for each in _dicts(described, "inputs"):
        name, dtype = str(each.get("name")), each.get("datatype")
        if dtype not in _TYPES:
            raise ConfigError(f"{name}: expected a datatype of {', '.join(_TYPES)}, got {dtype}")
        shape = _shape(name, each.get("shape"))
        size = each.get("parameters", {}).get("binary_data_size") if _has_bytes(each) else None
        if size is None:
            found[name] = _of_json(name, each.get("data"), _TYPES[dtype], shape)
        else:
            found[name] = _of_bytes(name, rest, _TYPES[dtype], shape, size)
            rest = rest[found[name].nbytes :]
    if rest:
        raise ConfigError(f"{len(rest):,} bytes are left of which no input has told its size")
    return found


def _shape(name: str, shape: object) -> list[int]:
    if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        raise ConfigError(f"{name}: expected a shape, a list of whole numbers, got {shape}")
    return shape


def _has_bytes(described: Mapping[str, Any]) -> bool:
    return isinstance(described.get("parameters"), dict)


def _of_bytes(
    name: str, data: memoryview, dtype: type[Any], shape: list[int], size: object
) -> npt.NDArray[Any]:
    """A tensor at the beginning of bytes."""
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    if size != wanted or len(data) < wanted:
        raise ConfigError(
            f"{name}: its shape takes {wanted:,} bytes, got {size} of {len(data):,} that are there"
        )
    return np.frombuffer(data[:wanted], dtype).reshape(shape)


def _of_json(name: str, data: object, dtype: type[Any], shape: list[int]) -> npt.NDArray[Any]:
    """Numbers in a list, flat or nested, that are none but those of the type."""
    try:
        values = np.asarray(data)
        with np.errstate(invalid="ignore"):
            array = values.astype(dtype)
        fits = values.dtype.kind in "biuf" and values.size == math.prod(shape)
        exact = dtype is np.float32 or bool((array == values).all())
    except (ValueError, TypeError, OverflowError):
        fits = exact = False
    if not (fits and exact):
        raise ConfigError(f"{name}: expected data of {math.prod(shape):,} numbers of its datatype")
    return array.reshape(shape)


def check_clips(inputs: Arrays, wanted: Mapping[str, tuple[tuple[int, ...], str]]) -> int:
    """Makes sure that tensors are a batch of clips that a run takes; returns its length.

    Args:
        inputs: The tensors by name.
        wanted: The shape without the batch, and the type, of each.

    Raises:
        ConfigError: One is missing, unknown, of another shape or type, or the mask is none.
    """
    check_known(inputs, wanted, "inputs")
    for name, (shape, dtype) in wanted.items():
        if name not in inputs:
            raise ConfigError(f"inputs: {name} is missing")
        array = inputs[name]
        if array.shape[1:] != shape or array.ndim != len(shape) + 1 or array.dtype != dtype:
            expected = ", ".join(map(str, ("B", *shape)))
            raise ConfigError(
                f"{name}: expected {type_name(dtype)} ({expected}), got "
                f"{type_name(str(array.dtype))} {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ConfigError(f"{name}: expected numbers, got NaN or infinity")
    lengths = {len(array) for array in inputs.values()}
    if len(lengths) > 1 or not min(lengths):
        raise ConfigError(f"expected as many clips in each input, got {sorted(lengths)}")
    mask = inputs["mask"]
    if not mask[:, 0].all() or (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ConfigError(
            "mask: expected true for the first frame, and false for padding at the end"
        )
    return lengths.pop()


def answer_body(
    content: dict[str, Any], outputs: Arrays, request: InferRequest
) -> tuple[bytes, int | None]:
    """The body of an answer, and how many bytes of it are JSON where some are not.

    Args:
        content: What else it says.
        outputs: What was computed, float32, by name.
        request: What is asked for.

    Raises:
        ConfigError: An output is asked for that there is not.
    """
    check_known(request.outputs, outputs, "outputs")
    wanted = request.outputs or dict.fromkeys(outputs, request.binary_output)
    described, behind = [], []
    for name, as_bytes in wanted.items():
        array = np.ascontiguousarray(outputs[name], np.float32)
        each: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(array.shape)}
        if as_bytes:
            behind.append(array.tobytes())
            each["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            each["data"] = array.ravel().tolist()
        described.append(each)
    head = json.dumps({**content, "outputs": described}).encode()
    return head + b"".join(behind), len(head) if behind else None
