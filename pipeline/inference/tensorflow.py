"""Running a model in TensorFlow: a SavedModel, or that of Keras itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.inference.runtime import Arrays, Logits
from pipeline.models.parts import CLIP, FEATURES, STEP, TEMPORAL, Parts
from pipeline.models.recognizer import float32_twin, load_recognizer
from pipeline.run import Run
from pipeline.text import command

Function = Callable[..., Mapping[str, tf.Tensor]]


class TensorFlowModel:
    """The parts of a network as functions of TensorFlow; see `Runtime`.

    Args:
        path: Where they come from.
        functions: The parts by name.
        inputs: What each takes, by name, with a batch axis.
        num_classes: Classes that the model tells apart (C).
    """

    def __init__(
        self,
        path: Path,
        functions: Mapping[str, Function],
        inputs: Mapping[str, Mapping[str, tf.TensorSpec]],
        num_classes: int,
    ) -> None:
        self.path, self.num_classes = path, num_classes
        self._functions, self._inputs = functions, inputs

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """What a clip is: `frames` and `flow` of shape (T, H, W, 3), `mask` of (T,)."""
        return {name: tuple(spec.shape[1:]) for name, spec in self._inputs[CLIP].items()}

    @property
    def state_size(self) -> int | None:
        """Length of the state of `step`; None where the network looks ahead and has no `step`."""
        return int(self._inputs[STEP]["state"].shape[-1]) if STEP in self._inputs else None

    def clip_logits(self, clip: Arrays) -> Logits:
        """See `Runtime`."""
        return self._run(CLIP, clip)["logits"][0]

    def features(self, pairs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """See `Runtime`."""
        found = self._functions[FEATURES](**_tensors(pairs))
        return {name: tensor.numpy() for name, tensor in found.items()}

    def logits(self, features: Arrays, mask: npt.NDArray[np.bool_]) -> Logits:
        """See `Runtime`."""
        return self._run(TEMPORAL, {**features, "mask": mask})["logits"][0]

    def step(self, features: Arrays, state: Logits) -> tuple[Logits, Logits]:
        """See `Runtime`."""
        found = self._run(STEP, {**features, "state": state})
        return found["logits"][0], found["next_state"][0]

    def _run(self, part: str, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        batch = {name: each[None] for name, each in inputs.items()}
        found = self._functions[part](**_tensors(batch))
        return {name: tensor.numpy() for name, tensor in found.items()}


def open_saved_model(path: Path) -> TensorFlowModel:
    """Opens a SavedModel that was exported.

    Raises:
        DataError: The folder holds none, or it is damaged.
    """
    try:
        loaded = tf.saved_model.load(str(path))
        functions = dict(loaded.signatures)
        inputs = {name: each.structured_input_signature[1] for name, each in functions.items()}
        num_classes = int(functions[TEMPORAL].structured_outputs["logits"].shape[-1])
    except (OSError, ValueError, KeyError, tf.errors.OpError):
        raise DataError(
            f"{path}: not an exported SavedModel, or damaged. Export it again: "
            + command("export", "RUN", "--format", "savedmodel")
        ) from None
    model = TensorFlowModel(path, functions, inputs, num_classes)
    model.keep_alive = loaded  # type: ignore[attr-defined]  # its variables go with it
    return model


def open_keras(run: Run) -> TensorFlowModel:
    """Opens the model that a run trained.

    Raises:
        DataError: It is missing or damaged.
    """
    config = run.config()
    model = load_recognizer(run.model_file, config, len(run.class_names()))
    return of_recognizer(model, config, run.model_file)


def of_recognizer(model: keras.Model, config: RunConfig, path: Path) -> TensorFlowModel:
    """The parts of a recogniser of Keras, to be run.

    Args:
        model: The recogniser.
        config: Its run.
        path: Where it comes from.
    """
    parts = Parts(float32_twin(model, config, for_export=True), config).functions(None)
    functions = {name: _by_name(function, specs) for name, (function, specs) in parts.items()}
    inputs = {name: specs for name, (_, specs) in parts.items()}
    return TensorFlowModel(path, functions, inputs, model.output_shape[-1])


def _by_name(function: Any, specs: Mapping[str, tf.TensorSpec]) -> Function:
    compiled = tf.function(function, input_signature=[dict(specs)])
    return lambda **inputs: compiled(inputs)


def _tensors(arrays: Arrays) -> dict[str, tf.Tensor]:
    return {name: tf.constant(each) for name, each in arrays.items()}
