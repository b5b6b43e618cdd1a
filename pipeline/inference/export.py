"""A trained run for LiteRT, which classifies without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from pipeline.config import RunConfig
from pipeline.data.dataset import evaluation_batches
from pipeline.data.manifest import SPLITS
from pipeline.data.videos import Data
from pipeline.errors import PipelineError
from pipeline.evaluation.predictions import open_run_data
from pipeline.inference.litert import LiteRTModel
from pipeline.models.recognizer import float32_twin, load_recognizer
from pipeline.native_log import silent_native_log
from pipeline.run import Run

TOLERANCE = 1e-3


def export_litert(run: Run, *, data: Path | None = None, num_clips: int = 16) -> float:
    """Writes `model.tflite` beside `model.keras` and compares the two on real clips.

    Args:
        run: A trained run whose data set is still there.
        data: Where the data set is, if it was moved since the run was trained.
        num_clips: Clips to compare, of the validation split where there is one.

    Returns:
        The largest difference of a logit.

    Raises:
        PipelineError: A logit differs by more than 1e-3, or an answer does.
        DataError: The run or its data set cannot be used.
    """
    config = run.config()
    store = open_run_data(run, data)
    model = load_recognizer(run.model_file, config, len(store.class_names))
    temporary = run.litert_file.with_name(f".partial-{run.litert_file.name}")
    try:
        _convert(model, config, temporary)
        difference = _compare(model, LiteRTModel(temporary), config, store, num_clips)
        temporary.replace(run.litert_file)
    finally:
        temporary.unlink(missing_ok=True)
    return difference


def _convert(model: keras.Model, config: RunConfig, path: Path) -> None:
    """Writes the LiteRT file of a recogniser, for one clip at a time, of built-in operations only.

    Its signature takes the images of the model, `frames`, `flow` or both, uint8 (1, T, H, W, 3),
    and `mask` bool (1, T) and has one output, the logits float32 (1, C).
    """
    size, length = config.frames.size, config.clip.num_frames
    twin = float32_twin(model, config, for_export=True)
    shape = (1, length, size, size, 3)
    signature = {
        **{name: keras.InputSpec("uint8", shape, name=name) for name in config.model.images},
        "mask": keras.InputSpec("bool", (1, length), name="mask"),
    }
    with silent_native_log():
        twin.export(path, format="litert", input_signature=[signature], verbose=False)


def _compare(
    model: keras.Model, exported: LiteRTModel, config: RunConfig, store: Data, num_clips: int
) -> float:
    split = next(name for name in ("val", *SPLITS) if name in store.num_videos)
    clips = evaluation_batches(store, config, split).unbatch().take(num_clips).batch(num_clips)
    inputs, _ = next(iter(clips))
    wanted = model.predict_on_batch(inputs)
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    got = np.stack(
        [
            exported.logits({name: array[index] for name, array in arrays.items()})
            for index in range(len(wanted))
        ]
    )
    difference = float(np.abs(wanted - got).max())
    if not difference <= TOLERANCE or (wanted.argmax(axis=1) != got.argmax(axis=1)).any():
        raise PipelineError(
            f"the exported model differs from the trained one by {difference:.2g} in a logit, "
            f"more than {TOLERANCE:g}; it was not kept"
        )
    return difference
