"""What the Open Inference Protocol V2 asks of a server: whether it is ready, and what runs are.

Source: "Inference Protocol V2", github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

from typing import Any, Final

from pipeline import __version__
from pipeline.errors import ConfigError
from pipeline.inference.clips import ClipModel
from pipeline.streams import IMAGES
from pipeline.web.programs.models import Model

_NAMES: Final = {".tflite": "tensorflow_lite"}
_TYPES: Final = {"bool": "BOOL", "uint8": "UINT8", "float32": "FP32"}
SERVER: Final[dict[str, Any]] = {"name": "clipline", "version": __version__, "extensions": []}
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
            {"name": name, "datatype": _TYPES[dtype], "shape": [-1, *shape]}
            for name, (shape, dtype) in _wanted(member).items()
        ],
        "outputs": [
            {"name": name, "datatype": "FP32", "shape": [-1, *length, classes]}
            for name in ("logits", "probabilities")
        ],
    }


def _only_member(model: Model) -> ClipModel:
    if model.classifier.fusion:
        raise ConfigError(
            f"{model.name} is of fused runs, which take different tensors of a video: send the "
            f"video to {model.path}, or serve one of the runs"
        )
    return model.classifier.members[0]


def _wanted(member: ClipModel) -> dict[str, tuple[tuple[int, ...], str]]:
    return {
        name: (shape, "bool" if name == "mask" else IMAGES[name].dtype)
        for name, shape in member.runtime.input_shapes.items()
    }
