"""Tiny networks in files: one convolution, whose weights are the same in all of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

KERNEL = np.random.default_rng(0).normal(0, 0.4, (3, 3, 3, 5)).astype(np.float32)
"""Height, width, channels and features; it looks at every eighth pixel."""


def features_of(frames: np.ndarray, mean: float = 127.5, std: float = 127.5) -> np.ndarray:
    """The map of features, (N, h, w, 5), of frames, reckoned by NumPy."""
    values = (frames.astype(np.float64) - mean) / std
    windows = np.lib.stride_tricks.sliding_window_view(values, (3, 3), (1, 2))[:, ::8, ::8]
    return np.maximum(np.einsum("nhwcij,ijcf->nhwf", windows, KERNEL.astype(np.float64)), 0)


def write_tflite(
    path: Path, shape: Sequence[int | None] = (None, 32, 32, 3), kind: str = ""
) -> Path:
    """A `.tflite` file; `kind` int8 or uint8 is one of 8 bits, all of it."""
    import tensorflow as tf

    from pipeline.native_log import silent_native_log

    def network(x: Any) -> Any:
        return tf.nn.relu(tf.nn.conv2d(x, KERNEL, 8, "VALID"))

    spec = tf.TensorSpec(shape, tf.float32)
    concrete = tf.function(network, autograph=False).get_concrete_function(spec)
    with silent_native_log(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the converter itself does
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        if kind:
            values = np.random.default_rng(1).uniform(-1, 1, (20, 1, 32, 32, 3)).astype(np.float32)
            values[0, 0, 0, 0] = (-1, 1, 0)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([each] for each in values)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
        path.write_bytes(converter.convert())
    return path


def write_onnx(
    path: Path,
    shape: Sequence[int | str] = ("n", 3, 32, 32),
    *,
    dtype: type = np.float32,
    inputs: int = 1,
    outputs: int = 1,
    mean_over: Sequence[int] = (),
    said: dict[str, str] | None = None,
) -> Path:
    """A `.onnx` file, whose frames are (N, 3, H, W), with the mean over some axes at the end."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    names = [f"x{number}" for number in range(inputs)]
    nodes = [
        helper.make_node("Sum", names, ["sum"]),
        helper.make_node("Cast", ["sum"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["float", "kernel"], ["map"], strides=[8, 8]),
        helper.make_node("Relu", ["map"], ["y0"]),
    ]
    if dtype == np.uint8:
        nodes[0] = helper.make_node("Identity", names, ["sum"])
    ends = [f"y{number}" for number in range(outputs)]
    if mean_over:
        nodes.append(helper.make_node("ReduceMean", ["y0", "axes"], ["mean"], keepdims=0))
        ends[0] = "mean"
    nodes += [helper.make_node("Neg", ["y0"], [name]) for name in ends[1:]]
    kernel = numpy_helper.from_array(KERNEL.transpose(3, 2, 0, 1).copy(), "kernel")
    axes = numpy_helper.from_array(np.array(mean_over, np.int64), "axes")
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, kind, shape) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends],
        [kernel, axes] if mean_over else [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, said or {})
    onnx.save(model, str(path))
    return path
