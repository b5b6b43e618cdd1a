"""A trained run for where it is used: LiteRT, TensorFlow Serving, ONNX."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.atomic import named_in_errors
from pipeline.config import RunConfig
from pipeline.errors import ConfigError, PipelineError
from pipeline.inference.agreement import (
    Exported,
    Format,
    arrays_of,
    check,
    compare,
    held_out,
    some_clips,
)
from pipeline.inference.bundle import Precision, bundle_of, checksum, take_place, write_bundle
from pipeline.inference.clips import pairs_of
from pipeline.inference.external import Networks, inputs_of, networks_of, with_networks
from pipeline.inference.runtimes import ONNX_FILES, open_runtime
from pipeline.inference.tensorflow import open_saved_model
from pipeline.models.parts import CLIP, FEATURES, TEMPORAL, Parts
from pipeline.models.recognizer import float32_twin
from pipeline.native_log import silent_native_log
from pipeline.networks import NetworkError
from pipeline.pose.models import carry
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.text import extra
from pipeline.training.run_folder import OpenedRun

_OPSET = 18
_PRECISIONS: dict[Format, Precision] = {"litert-float16": "float16", "litert-int8": "int8"}


def export(opened: OpenedRun, kind: Format = "litert", *, num_clips: int = 32) -> Exported:
    """Exports the model of a run and compares it to that on real clips.

    LiteRT goes into the run itself, other formats into `export/FORMAT` in it. The model and the
    `bundle.json` beside it, with class names, sampling and calibration, classify on their own.

    Args:
        opened: A trained run.
        kind: The format. `litert-float16` halves the size; `litert-int8` computes in 8 bits where
            it can, with ranges that are taken from training clips.
        num_clips: Clips to compare, at most, of the validation split where there is one.

    Raises:
        PipelineError: It differs too much, see `TOLERANCE`, `ROUNDING` and `LEAST_SAME` in
            `pipeline.inference.agreement`.
        ConfigError: A package that the format needs is missing.
        DataError: A file of frames was damaged.
    """
    run, config, videos, model = opened.run, opened.config, opened.data, opened.model
    described = bundle_of(run)
    networks = networks_of(described, run, num_threads=os.cpu_count() or 1)
    bundle = run if kind == "litert" else Run(run.exports / kind)
    new = Run(run.folder / f".new-{kind}")
    folders = {"savedmodel": new.saved_model, "onnx": new.onnx}
    written = folders.get(kind, new.litert_file)
    target = bundle.folder / written.name
    shutil.rmtree(new.folder, ignore_errors=True)  # of an export that was killed
    new.folder.mkdir()
    try:
        _write(kind, model, config, videos, written, networks)
        clips = list(some_clips(videos, config, num_clips, held_out(videos)))
        runtime = (open_saved_model if kind == "savedmodel" else open_runtime)(written)
        runtime = with_networks(runtime, networks, described)
        try:
            exported = compare(model, runtime, clips, config, bundle, target, networks)
        except NetworkError:  # of numbers that an interpreter of 8 bits does not take
            raise PipelineError(
                f"{kind}: the exported model cannot be run and was not kept; its numbers may be "
                "out of all range. Export it as --format litert"
            ) from None
        check(exported, kind)
        if networks and bundle is not run:
            shutil.copytree(run.backbones, new.backbones)
        if described.frames.pose and not described.frames.key_points:  # Tables need no models.
            carry((run if bundle is run else new).pose)
        precision, mark = _PRECISIONS.get(kind, "float32"), checksum(written)
        write_bundle(dataclasses.replace(described, precision=precision, export=mark), new)
        take_place(new, bundle)
    finally:
        shutil.rmtree(new.folder, ignore_errors=True)
    return exported


def _write(
    kind: Format,
    model: keras.Model,
    config: RunConfig,
    videos: PreparedDataset,
    path: Path,
    networks: Networks,
) -> None:
    if kind == "onnx":
        _write_onnx(model, config, path)
    elif kind == "savedmodel":
        _save_parts(model, config, path, batch=None)
    else:
        with tempfile.TemporaryDirectory() as folder, silent_native_log():
            _save_parts(model, config, Path(folder), batch=1)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if kind == "litert-float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            elif kind == "litert-int8":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = _examples(model, config, videos, networks)
            with warnings.catch_warnings():  # of the interpreter that the converter itself uses
                warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter")
                content = converter.convert()
            with named_in_errors(path):
                path.write_bytes(content)


def _save_parts(model: keras.Model, config: RunConfig, folder: Path, *, batch: int | None) -> None:
    """Writes a SavedModel with a signature for each of `pipeline.models.parts`."""
    twin = float32_twin(model, config, for_export=True)
    module = tf.Module()
    module.weights = [weight.value for weight in twin.weights]
    signatures = {
        name: tf.function(function, autograph=False).get_concrete_function(inputs)
        for name, (function, inputs) in Parts(twin, config).functions(batch).items()
    }
    with silent_native_log():
        tf.saved_model.save(module, str(folder), signatures=signatures)


def _write_onnx(model: keras.Model, config: RunConfig, folder: Path) -> None:
    """Writes a file for each of `pipeline.models.parts`, for any number of clips at once."""
    try:
        import tf2onnx
    except ImportError:
        raise ConfigError(f"ONNX needs tf2onnx: {extra('onnx')}") from None
    folder.mkdir()
    parts = Parts(float32_twin(model, config, for_export=True), config).functions(None)
    for name, (function, inputs) in parts.items():
        tf2onnx.convert.from_function(
            tf.function(function, input_signature=[inputs]),
            input_signature=[inputs],
            opset=_OPSET,
            output_path=str(folder / ONNX_FILES[name]),
        )


def _examples(
    model: keras.Model,
    config: RunConfig,
    videos: PreparedDataset,
    networks: Networks,
    *,
    most: int = 100,
) -> Callable[[], Iterator[tuple[str, dict[str, Any]]]]:
    """Inputs of each part for training clips, from which the ranges of int8 are taken."""
    parts = Parts(float32_twin(model, config, for_export=True), config)

    def examples() -> Iterator[tuple[str, dict[str, Any]]]:
        for clip in some_clips(videos, config, most, "train"):
            batch = {name: each[None] for name, each in clip.items()}
            given = inputs_of(batch, networks, model.input)
            pairs = pairs_of({name: clip[name] for name in given if name in clip})
            features = {name: each[0] for name, each in given.items() if name not in clip}
            features |= arrays_of(parts.features(pairs))
            mask = clip["mask"]
            rows = {
                name: np.where(mask[:, None], each, 0)[None].astype(np.float32)
                for name, each in features.items()
            }
            yield CLIP, given
            if pairs:
                yield FEATURES, pairs
            yield TEMPORAL, {**rows, "mask": mask[None]}

    return examples
