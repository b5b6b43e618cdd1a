"""Running a model in TensorFlow: a SavedModel, or that of Keras itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pipeline.config import RunConfig
from pipeline.errors import DataError
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.models.parts import TEMPORAL, Parts
from pipeline.models.recognizer import float32_twin, load_recognizer
from pipeline.run import Run

Function = Callable[..., Mapping[str, tf.Tensor]]


class TensorFlowModel(Runtime):
    """The parts of a network as functions of TensorFlow, whose inputs have a batch axis."""

    def __init__(
        self,
        path: Path,
        functions: Mapping[str, Function],
        inputs: Mapping[str, Mapping[str, tf.TensorSpec]],
        num_classes: int,
    ) -> None:
        self.path, self.num_classes = path, num_classes
        self._functions, self._inputs = functions, inputs

    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """See `Runtime`."""
        return {name: tuple(spec.shape[1:]) for name, spec in self._inputs.get(part, {}).items()}

    def run(self, part: str, inputs: Arrays) -> Floats:
        """See `Runtime`."""
        tensors = {name: tf.constant(each) for name, each in inputs.items()}
        return {name: each.numpy() for name, each in self._functions[part](**tensors).items()}


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
            + Run(path.parent).export_command("savedmodel")
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
    """The parts of a recogniser of Keras, to be run."""
    parts = Parts(float32_twin(model, config, for_export=True), config).functions(None)
    functions = {name: _by_name(function, specs) for name, (function, specs) in parts.items()}
    inputs = {name: specs for name, (_, specs) in parts.items()}
    return TensorFlowModel(path, functions, inputs, model.output_shape[-1])


def _by_name(function: Any, specs: Mapping[str, tf.TensorSpec]) -> Function:
    compiled = tf.function(function, input_signature=[dict(specs)])
    return lambda **inputs: compiled(inputs)
