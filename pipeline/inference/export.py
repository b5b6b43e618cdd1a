"""A trained run for where it is used: LiteRT, TensorFlow Serving, ONNX."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np
import tensorflow as tf

from pipeline.atomic import named_in_errors
from pipeline.config import RunConfig
from pipeline.data.dataset import evaluation_batches
from pipeline.data.manifest import SPLITS
from pipeline.data.videos import Data
from pipeline.errors import PipelineError
from pipeline.evaluation.predictions import open_run_data
from pipeline.inference.bundle import Precision, bundle_of, write_bundle
from pipeline.inference.runtimes import Arrays, Runtime, open_runtime
from pipeline.inference.tensorflow import open_saved_model
from pipeline.models.parts import CLIP, FEATURES, STEP, TEMPORAL, Parts
from pipeline.models.recognizer import float32_twin, load_recognizer
from pipeline.native_log import silent_native_log
from pipeline.run import Run

Format = Literal["litert", "litert-float16", "litert-int8", "savedmodel", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)

TOLERANCE: dict[Format, float] = {"litert": 1e-3, "savedmodel": 1e-3, "onnx": 1e-3}
"""How far a logit may be from that of Keras, so that only near ties can get another answer.

Formats that round weights are not held to it.
"""

_PRECISIONS: dict[Format, Precision] = {"litert-float16": "float16", "litert-int8": "int8"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export is like, beside the Keras model that it was made of.

    Attributes:
        run: The folder that classifies.
        model: The model in it, a file or a folder.
        num_bytes: Its size.
        num_clips: Real clips that both were compared on.
        difference: The largest difference of a logit.
        same_answers: Share of the clips that get the same answer, 0 to 1.
        clip_seconds: Time for one clip, the median.
        keras_seconds: The same of the Keras model, one clip in a call.
    """

    run: Run
    model: Path
    num_bytes: int
    num_clips: int
    difference: float
    same_answers: float
    clip_seconds: float
    keras_seconds: float


def export(
    run: Run, kind: Format = "litert", *, data: Path | None = None, num_clips: int = 32
) -> Exported:
    """Exports the model of a run and compares it to that on real clips.

    LiteRT goes into the run itself, other formats into `export/FORMAT` in it. The model and the
    `bundle.json` beside it, with class names, sampling and calibration, classify on their own.

    Args:
        run: A trained run whose data set is still there.
        kind: The format. `litert-float16` halves the size; `litert-int8` computes in 8 bits where
            it can, with ranges that are taken from training clips.
        data: Where the data set is, if it was moved since the run was trained.
        num_clips: Clips to compare, of the validation split where there is one.

    Raises:
        PipelineError: A logit differs by more than 1e-3, of a format that does not round.
        ConfigError: A package that the format needs is missing.
        DataError: The run or its data set cannot be used.
    """
    config = run.config()
    videos = open_run_data(run, data)
    model = load_recognizer(run.model_file, config, len(videos.class_names))
    bundle = run if kind == "litert" else Run(run.exports / kind)
    bundle.folder.mkdir(parents=True, exist_ok=True)
    folders = {"savedmodel": bundle.saved_model, "onnx": bundle.onnx}
    target = folders.get(kind, bundle.litert_file)
    temporary = target.with_name(f".partial-{target.name}")
    _remove(temporary)  # of an export that was killed
    try:
        _write(kind, model, config, videos, temporary)
        clips = _some_clips(videos, config, num_clips)
        opened = (open_saved_model if kind == "savedmodel" else open_runtime)(temporary)
        exported = _compare(model, opened, clips, bundle, target)
        _check(exported, kind)
        if target.is_dir():  # A file is replaced at once.
            _remove(target)
        temporary.replace(target)
        precision = _PRECISIONS.get(kind, "float32")
        write_bundle(dataclasses.replace(bundle_of(run), precision=precision), bundle)
    finally:
        _remove(temporary)
    return exported


def _write(kind: Format, model: keras.Model, config: RunConfig, videos: Data, path: Path) -> None:
    if kind == "onnx":
        from pipeline.inference.onnx import write_onnx

        write_onnx(model, config, path)
    elif kind == "savedmodel":
        _save_parts(model, config, path, batch=None)
    else:
        with tempfile.TemporaryDirectory() as folder, silent_native_log():
            _save_parts(model, config, Path(folder), batch=1, step=kind != "litert-int8")
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if kind == "litert-float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            elif kind == "litert-int8":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = _examples(model, config, videos)
            with warnings.catch_warnings():  # of the interpreter that the converter itself uses
                warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter")
                content = converter.convert()
            with named_in_errors(path):
                path.write_bytes(content)


def _save_parts(
    model: keras.Model, config: RunConfig, folder: Path, *, batch: int | None, step: bool = True
) -> None:
    """Writes a SavedModel with a signature for each of `pipeline.models.parts`."""
    twin = float32_twin(model, config, for_export=True)
    module = tf.Module()
    module.weights = [weight.value for weight in twin.weights]
    signatures = {
        name: tf.function(function, autograph=False).get_concrete_function(inputs)
        for name, (function, inputs) in Parts(twin, config).functions(batch).items()
        if name != STEP or step
    }
    with silent_native_log():
        tf.saved_model.save(module, str(folder), signatures=signatures)


def _examples(
    model: keras.Model, config: RunConfig, videos: Data, *, most: int = 100
) -> Callable[[], Iterator[tuple[str, dict[str, Any]]]]:
    """What each part is given for training clips, from which the ranges of int8 are taken."""
    parts = Parts(float32_twin(model, config, for_export=True), config)

    def examples() -> Iterator[tuple[str, dict[str, Any]]]:
        clips = evaluation_batches(videos, config, "train").unbatch().shuffle(1000, seed=0)
        for inputs, _ in clips.take(most):
            clip = {name: tensor.numpy() for name, tensor in inputs.items()}
            mask, pairs = clip["mask"], _pairs(clip)
            features = {
                name: np.where(mask[:, None], rows, 0)[None].astype(np.float32)
                for name, rows in _arrays(parts.features(pairs)).items()
            }
            yield CLIP, {name: each[None] for name, each in clip.items()}
            yield FEATURES, pairs
            yield TEMPORAL, {**features, "mask": mask[None]}

    return examples


def _pairs(clip: Arrays) -> dict[str, np.ndarray]:
    """Each frame of a clip after the one before it, uint8 (T, 2, H, W, 3)."""
    images = {name: each for name, each in clip.items() if name != "mask"}
    return {
        name: np.stack([np.concatenate([each[:1], each[:-1]]), each], axis=1)
        for name, each in images.items()
    }


def _arrays(tensors: Any) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _some_clips(videos: Data, config: RunConfig, number: int) -> list[dict[str, np.ndarray]]:
    split = next(name for name in ("val", *SPLITS) if name in videos.num_videos)
    clips = evaluation_batches(videos, config, split).unbatch().take(number)
    return [_arrays(inputs) for inputs, _ in clips]


def _compare(
    model: keras.Model,
    exported: Runtime,
    clips: list[dict[str, np.ndarray]],
    bundle: Run,
    target: Path,
) -> Exported:
    wanted, keras_seconds = _timed(lambda clip: _predict(model, clip), clips)
    found, clip_seconds = _timed(lambda clip: _by_parts(exported, clip), clips)
    whole = np.stack([exported.clip_logits(clip) for clip in clips])
    difference = max(np.abs(wanted - each).max() for each in (found, whole))
    same = wanted.argmax(axis=1) == found.argmax(axis=1)
    path = exported.path
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return Exported(
        run=bundle,
        model=target,
        num_bytes=sum(each.stat().st_size for each in files),
        num_clips=len(clips),
        difference=float(difference),
        same_answers=float(same.mean()),
        clip_seconds=clip_seconds,
        keras_seconds=keras_seconds,
    )


def _predict(model: keras.Model, clip: Arrays) -> np.ndarray:
    batch = {name: each[None] for name, each in clip.items()}
    logits: np.ndarray = model.predict_on_batch(batch)[0]
    return logits


def _by_parts(exported: Runtime, clip: Arrays) -> np.ndarray:
    """The logits by way of features, as classifying goes."""
    return exported.logits(exported.features(_pairs(clip)), clip["mask"])


def _timed(
    call: Callable[[Arrays], np.ndarray], clips: list[dict[str, np.ndarray]]
) -> tuple[np.ndarray, float]:
    """What a call gives for each clip, and the median of its seconds; the first is a warm-up."""
    call(clips[0])
    results, seconds = [], []
    for clip in clips:
        start = time.perf_counter()
        results.append(call(clip))
        seconds.append(time.perf_counter() - start)
    return np.stack(results), float(np.median(seconds))


def _check(exported: Exported, kind: Format) -> None:
    most = TOLERANCE.get(kind)
    if most is not None and not exported.difference <= most:
        raise PipelineError(
            f"the exported model differs from the trained one by {exported.difference:.2g} in a "
            f"logit, more than {most:g}; it was not kept"
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def format_exported(exported: Exported) -> str:
    """What `export` returns, as text for a terminal."""
    faster = exported.keras_seconds / exported.clip_seconds
    return (
        f"{exported.model}: {exported.num_bytes / 1e6:.1f} MB, "
        f"{exported.clip_seconds * 1000:.1f} ms a clip on {os.cpu_count()} CPU cores, "
        f"{faster:.1f} times as fast as Keras\n"
        f"of {exported.num_clips} clips {exported.same_answers:.3f} get the answer of Keras; "
        f"logits differ by at most {exported.difference:.1e}"
    )
