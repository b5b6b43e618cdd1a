"""Agreement of an exported model with its Keras model, and the bound for it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import evaluation_batches
from pipeline.dataset.videos import damage_named
from pipeline.errors import PipelineError
from pipeline.inference.clips import pairs_of
from pipeline.inference.external import Networks, inputs_of
from pipeline.inference.runtime import Arrays, Runtime
from pipeline.manifest.rows import SPLITS, Split
from pipeline.prepare.prepared import PreparedDataset
from pipeline.run import Run
from pipeline.tasks.task import task_of

Format = Literal["litert", "litert-float16", "litert-int8", "savedmodel", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)

TOLERANCE: dict[Format, float] = {"litert": 1e-3, "savedmodel": 1e-3, "onnx": 1e-3}
"""How far a logit may be from that of Keras, so that only near ties can get another answer."""

ROUNDING: dict[Format, float] = {"litert-float16": 0.02, "litert-int8": 0.2}
"""What `Exported.noise` may be where weights are rounded.

Noise of 0.2 moves the lead of one class over another by 0.28, for both of them move: an answer with
a usual lead, which is 2 where there are two classes and more where there are many, stays. The 11
bits of float16 give a hundredth of that; 0.02 is passed where numbers are out of its range.
"""

LEAST_SAME = 0.9
"""The share of clips that must get the answer of Keras where weights are rounded."""

_FURTHEST = 20  # videos from one that is compared to the next; those between are read as well


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exported:
    """An export beside the Keras model that it was made of.

    Attributes:
        run: The folder that classifies.
        model: The model in it, a file or a folder.
        num_bytes: Its size.
        num_clips: Real clips that both were compared on.
        difference: The largest difference of a logit.
        noise: The root of the mean squared difference, as a share of how far the logits of a clip
            are from their mean in the same sense, or from 0 where several classes may hold.
        same_answers: Share of the clips, or of their frames, that get the same answer, 0 to 1.
        clip_seconds: Time for one clip, the median.
        keras_seconds: The same of the Keras model, one clip in a call.
    """

    run: Run
    model: Path
    num_bytes: int
    num_clips: int
    difference: float
    noise: float
    same_answers: float
    clip_seconds: float
    keras_seconds: float


def some_clips(
    videos: PreparedDataset, config: RunConfig, number: int, split: Split
) -> Iterator[dict[str, np.ndarray]]:
    """Yields clips of a split, from all over it, one held at a time."""
    apart = max(1, min(videos.num_videos[split] // number, _FURTHEST))
    clips = evaluation_batches(videos, config, split).unbatch().shard(apart, 0).take(number)
    with damage_named():
        for inputs, _ in clips:
            yield arrays_of(inputs)


def held_out(videos: PreparedDataset) -> Split:
    """The validation split or, where there is none, the next one that is there."""
    return next(name for name in ("val", *SPLITS) if name in videos.num_videos)


def compare(
    model: keras.Model,
    exported: Runtime,
    clips: list[dict[str, np.ndarray]],
    config: RunConfig,
    bundle: Run,
    target: Path,
    networks: Networks,
) -> Exported:
    """Runs a recogniser and its export, which is to be `target`, on clips from `some_clips`.

    Where there is an answer at every frame, real frames are compared.
    """

    def keras_logits(clip: Arrays) -> np.ndarray:
        batch = {name: each[None] for name, each in clip.items()}
        logits: np.ndarray = model.predict_on_batch(inputs_of(batch, networks, model.input))[0]
        return logits

    wanted, keras_seconds = _timed(keras_logits, clips)
    found, clip_seconds = _timed(  # by way of features, as classifying goes
        lambda clip: exported.logits(exported.features(pairs_of(clip)), clip["mask"]), clips
    )
    whole = _answered([exported.clip_logits(clip) for clip in clips], clips)
    # Each class is told by itself, or from the others.
    apart = wanted if config.model.multilabel else wanted - wanted.mean(axis=1, keepdims=True)
    noise = max(_root_mean_square(wanted - each) for each in (found, whole))
    task = task_of(config.model)
    answers = [task.holds(task.probabilities(each), 0.5) for each in (wanted, found)]
    path = exported.path
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return Exported(
        run=bundle,
        model=target,
        num_bytes=sum(each.stat().st_size for each in files),
        num_clips=len(clips),
        difference=float(max(np.abs(wanted - each).max() for each in (found, whole))),
        noise=noise / max(_root_mean_square(apart), 1e-9),
        same_answers=float((answers[0] == answers[1]).all(axis=1).mean()),
        clip_seconds=clip_seconds,
        keras_seconds=keras_seconds,
    )


def check(exported: Exported, kind: Format) -> None:
    """Refuses an export that is too far from its model.

    Raises:
        PipelineError: It is; with what was measured and what to do.
    """
    if kind in TOLERANCE and not exported.difference <= TOLERANCE[kind]:
        raise PipelineError(
            f"the exported model differs from the trained one by {exported.difference:.2g} in a "
            f"logit, more than {TOLERANCE[kind]:g}; it was not kept"
        )
    if kind not in ROUNDING:
        return
    if not (exported.noise <= ROUNDING[kind] and exported.same_answers >= LEAST_SAME):
        other = "litert-float16 or litert" if kind == "litert-int8" else "litert"
        raise PipelineError(
            f"{kind} is too far from the trained model and was not kept: of {exported.num_clips} "
            f"clips {exported.same_answers:.3f} get its answer (at least {LEAST_SAME} must), and "
            f"the logits are off by {exported.noise:.3f} of how far they are apart (at most "
            f"{ROUNDING[kind]} may be). Export it as --format {other}; a model that is surer, of "
            "more epochs or more data, bears more rounding"
        )


def arrays_of(tensors: Any) -> dict[str, np.ndarray]:
    """Tensors by name as arrays."""
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _timed(
    call: Callable[[Arrays], np.ndarray], clips: list[dict[str, np.ndarray]]
) -> tuple[np.ndarray, float]:
    """Logits by a call for each clip, and the median of its seconds; the first is a warm-up."""
    call(clips[0])
    results, seconds = [], []
    for clip in clips:
        start = time.perf_counter()
        results.append(call(clip))
        seconds.append(time.perf_counter() - start)
    return _answered(results, clips), float(np.median(seconds))


def _answered(logits: list[np.ndarray], clips: list[dict[str, np.ndarray]]) -> np.ndarray:
    """The logits of all clips, or of all their real frames, (N, C)."""
    rows = [
        each[clip["mask"]] if each.ndim == 2 else each[None]
        for each, clip in zip(logits, clips, strict=True)
    ]
    return np.concatenate(rows)
