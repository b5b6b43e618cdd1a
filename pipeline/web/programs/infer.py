"""The Open Inference Protocol V2: what a run takes and gives, and the logits of tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline import __version__
from pipeline.errors import ConfigError, PipelineError
from pipeline.inference.clips import ClipModel, pairs_of
from pipeline.inference.decoding import Decoder
from pipeline.streams import IMAGES
from pipeline.web.programs.models import Model
from pipeline.web.programs.tensors import (
    Arrays,
    InferRequest,
    answer_body,
    check_clips,
    type_name,
)

_NAMES: Final = {".tflite": "tensorflow_lite"}
SERVER: Final = {
    "name": "clipline",
    "version": __version__,
    "extensions": ["binary_tensor_data"],
}
"""What the server says of itself."""


def described(model: Model) -> dict[str, Any]:
    """What a run takes and gives, as the protocol says it.

    Raises:
        ConfigError: It is one of fused runs, each of which takes other tensors.
    """
    member = _only_member(model)
    classes = len(model.classifier.class_names)
    length = [member.bundle.clip.num_frames] if model.per_frame else []
    return {
        "name": model.name,
        "versions": [model.classifier.fingerprint],
        "platform": _NAMES.get(member.runtime.path.suffix, "onnx"),
        "inputs": [
            {"name": name, "datatype": type_name(dtype), "shape": [-1, *shape]}
            for name, (shape, dtype) in _wanted(member).items()
        ],
        "outputs": [
            {"name": name, "datatype": "FP32", "shape": [-1, *length, classes]}
            for name in ("logits", "probabilities")
        ],
    }


def infer(
    model: Model, path: Path, json_bytes: int | None, decoder: Decoder
) -> tuple[bytes, int | None]:
    """The answer to a request for the logits of clips, computed one by one.

    Args:
        model: The run.
        path: The body of the request, in a file.
        json_bytes: How many of its bytes are JSON; None: all.
        decoder: That of the turn, of which no more is asked than whether it was stopped.

    Returns:
        The body of the answer, and how many bytes of it are JSON; None: all.

    Raises:
        ConfigError: The request is not one that the run can answer.
        DataError: The model gives no numbers.
        PipelineError: Nobody waits any more.
    """
    member = _only_member(model)
    request = InferRequest(path.read_bytes(), json_bytes)
    number = check_clips(request.inputs, _wanted(member))
    found = []
    for each in range(number):
        if decoder.is_stopped:
            raise PipelineError("nobody waits for the answer any more")
        found.append(_logits(member, request.inputs, each))
    logits = np.stack(found)
    model.classifier.logits([logits])  # It checks that they are numbers.
    temperature = model.classifier.bundle.calibration.temperature
    probabilities = model.classifier.task.probabilities(logits, temperature)
    content = {"model_name": model.name, "model_version": model.classifier.fingerprint}
    content |= {"id": request.id} if request.id else {}
    return answer_body(content, {"logits": logits, "probabilities": probabilities}, request)


def _only_member(model: Model) -> ClipModel:
    if model.classifier.fusion:
        raise ConfigError(
            f"{model.name} is of fused runs, which take different tensors of a video: send the "
            "video to /v1/classify, or serve one of the runs"
        )
    return model.classifier.members[0]


def _wanted(member: ClipModel) -> dict[str, tuple[tuple[int, ...], str]]:
    return {
        name: (shape, "bool" if name == "mask" else IMAGES[name].dtype)
        for name, shape in member.runtime.input_shapes.items()
    }


def _logits(member: ClipModel, inputs: Arrays, number: int) -> np.ndarray:
    """The logits of a clip, computed in the way of a video: real frames alone."""
    mask = inputs["mask"][number]
    real = {name: each[number][mask] for name, each in inputs.items() if name != "mask"}
    return member.temporal_logits(member.runtime.features(pairs_of(real)))
