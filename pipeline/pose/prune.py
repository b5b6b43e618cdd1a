"""Cutting parts out of a LiteRT model that nobody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def prune(model: bytes, outputs: Sequence[str]) -> bytes:
    """A model that computes some of its outputs only, without what the others take.

    Args:
        model: A LiteRT model of one subgraph.
        outputs: Names of the outputs that stay, in the order that they will have.

    Raises:
        KeyError: The model has no output of that name.
    """
    import flatbuffers  # both come with LiteRT, and take a while
    from ai_edge_litert import schema_py_generated as schema

    whole = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = whole.subgraphs[0]
    by_name = {graph.tensors[number].name.decode(): number for number in graph.outputs}
    graph.outputs = [by_name[name] for name in outputs]
    _drop_operators(graph)
    _drop_tensors(graph)
    _drop_buffers(whole)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _drop_operators(graph: Any) -> None:
    """Keeps the operators on which an output depends; they stand in the order of their run."""
    needed, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.inputs)
            kept.append(operator)
    graph.operators = kept[::-1]


def _drop_tensors(graph: Any) -> None:
    """Keeps the tensors that are used; -1 stands for an optional input that is not there."""
    lists = [graph.inputs, graph.outputs]
    lists += [each for operator in graph.operators for each in (operator.inputs, operator.outputs)]
    used = sorted({int(number) for each in lists for number in each} - {-1})
    place = {-1: -1} | {before: now for now, before in enumerate(used)}
    graph.tensors = [graph.tensors[number] for number in used]
    moved = {"inputs", "outputs"}
    for owner in (graph, *graph.operators):
        for name in moved:
            setattr(owner, name, [place[int(number)] for number in getattr(owner, name)])


def _drop_buffers(model: Any) -> None:
    """Keeps the buffers of tensors and metadata; the first one is empty by definition."""
    owners = [*model.subgraphs[0].tensors, *(model.metadata or [])]
    used = sorted({0} | {owner.buffer for owner in owners})
    place = {before: now for now, before in enumerate(used)}
    for owner in owners:
        owner.buffer = place[owner.buffer]
    model.buffers = [model.buffers[number] for number in used]
