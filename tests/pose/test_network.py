"""Models as files: running them, and cutting out what nobody asks for."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pipeline.errors import DataError
from pipeline.pose.network import LiteRTNetwork
from pipeline.pose.prune import prune


@pytest.fixture
def path(tmp_path, tiny_model):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_model)
    return path


def test_outputs_come_in_the_order_asked_for(path):
    network = LiteRTNetwork(path, ["sum", "product"])
    assert [each.tolist() for each in network(np.float32([4, 7]))] == [[5, 8], [15, 24]]


@pytest.mark.parametrize(("output", "expected"), [("sum", [5, 8]), ("product", [15, 24])])
def test_a_pruned_model_gives_the_same(path, tiny_model, output, expected):
    path.write_bytes(prune(tiny_model, [output]))
    (found,) = LiteRTNetwork(path, [output])(np.float32([4, 7]))
    assert found.tolist() == expected


def test_a_pruned_model_holds_only_what_it_needs(tiny_model):
    model = schema.ModelT.InitFromPackedBuf(prune(tiny_model, ["sum"]), 0)
    (graph,) = model.subgraphs
    assert sorted(each.name for each in graph.tensors) == [b"one", b"sum", b"x"]
    assert len(graph.operators) == len(graph.outputs) == 1
    assert [None if each.data is None else bytes(each.data) for each in model.buffers] == [
        None,
        np.float32([1, 1]).tobytes(),
    ]


@pytest.mark.parametrize("data", [b"", b"no model", None])
def test_a_damaged_file_is_told(path, data):
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    with pytest.raises(DataError, match="clipline fetch pose|fetch.py pose"):
        LiteRTNetwork(path, ["sum"])


def test_another_model_is_told(path):
    with pytest.raises(DataError, match="not a model of poses"):
        LiteRTNetwork(path, ["Identity"])
