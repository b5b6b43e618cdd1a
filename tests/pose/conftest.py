"""Estimators of stand-ins, and a model of two operators."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pipeline.pose import PoseEstimator
from tests.pose.discs import Detector, Landmarks


@pytest.fixture
def detector():
    return Detector()


@pytest.fixture
def landmarks():
    return Landmarks()


@pytest.fixture
def estimator(detector, landmarks):
    return PoseEstimator(detector, landmarks)


@pytest.fixture(scope="session")
def tiny_model():
    """A LiteRT model: of x, float32 (1, 2), the outputs `sum`, x + 1, and `product`, 3 * x + 3."""

    def tensor(name, buffer=0):
        each = schema.TensorT()
        each.name, each.shape, each.buffer = name, [1, 2], buffer
        each.type = schema.TensorType.FLOAT32
        return each

    def operator(number, inputs, output, kind, options):
        each = schema.OperatorT()
        each.opcodeIndex, each.inputs, each.outputs = number, inputs, [output]
        each.builtinOptionsType, each.builtinOptions = kind, options
        return each

    def buffer(*values):
        each = schema.BufferT()
        each.data = list(np.float32(values).tobytes()) or None
        return each

    def code(number):
        each = schema.OperatorCodeT()
        each.builtinCode = each.deprecatedBuiltinCode = number
        return each

    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("three", 1),
        tensor("product"),
        tensor("x"),
        tensor("sum"),
        tensor("one", 2),
    ]
    graph.inputs, graph.outputs = [2], [1, 3]
    kinds = schema.BuiltinOptions
    graph.operators = [
        operator(0, [2, 4], 3, kinds.AddOptions, schema.AddOptionsT()),
        operator(1, [3, 0], 1, kinds.MulOptions, schema.MulOptionsT()),
    ]
    model = schema.ModelT()
    model.version, model.subgraphs = 3, [graph]
    model.operatorCodes = [code(schema.BuiltinOperator.ADD), code(schema.BuiltinOperator.MUL)]
    model.buffers = [buffer(), buffer(3, 3), buffer(1, 1)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
