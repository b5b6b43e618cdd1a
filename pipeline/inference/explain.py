"""Why a model answers as it does: where it looks in each frame, and which frames it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.errors import ConfigError
from pipeline.inference.bundle import Bundle, bundle_of
from pipeline.inference.fused import Fused, read_fused, trained_runs
from pipeline.inference.heat import MapStream, NoMapError
from pipeline.inference.occlusion import HidingStream
from pipeline.inference.people import People, people_of
from pipeline.inference.seen_video import SeenVideo
from pipeline.run import Run
from pipeline.streams import STREAMS
from pipeline.tasks.fusion import Fusion, expect_alike
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.task import multi_class_task_of
from pipeline.video import decode_jpeg

Floats = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strip:
    """Why one run says so, by the middle clip of a video.

    Attributes:
        run: Its folder.
        probability: What it gives the class in the clip, 0 to 1.
        frames: The frames of the clip, uint8 (N, H, W, 3).
        seconds: Where they are in the video, float (N,).
        heat: How much each place speaks for the class, float32 (N, H, W), 0 to 1; None where it
            sees no pictures.
        people: Where it sees key points: the people, and how much each point speaks for the class.
        importance: By how much the logit of the class falls without each frame, float (N,);
            below 0 where it rises.
    """

    run: Path
    probability: float
    frames: npt.NDArray[np.uint8]
    seconds: npt.NDArray[np.float64]
    heat: npt.NDArray[np.float32] | None
    people: People | None
    importance: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a video got an answer.

    Attributes:
        path: The video file.
        label: The class that is explained.
        probability: Its probability in the middle clip, 0 to 1.
        strips: Why the run says so; of fused runs, each.
    """

    path: str
    label: str
    probability: float
    strips: tuple[Strip, ...]


def explain(run: Run, path: str | Path, label: str = "") -> Explanation:
    """Explains what a run, or a folder of fused runs, says of a video, by its middle clip.

    Args:
        run: A trained run, or fused ones that are still where they were trained.
        path: The video file.
        label: The class to explain; empty: the answer.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        ConfigError: There is no such class, or the run is not of task video.
        DataError: The run cannot be used.

    Source: where it looks, see `MapStream.heat`, `HidingStream.heat` and `PointStream.heat`; which
    frames it needs, occlusion, Zeiler and Fergus (2014), section 4.2, here in time.
    """
    fused = read_fused(run) if run.fusion_file.is_file() else None
    runs = trained_runs(run, fused) if fused else [run]
    bundles = [bundle_of(each) for each in runs]
    names, task = bundles[0].class_names, multi_class_task_of(bundles[0].model)
    expect_alike(
        [each.folder for each in runs],
        [bundle.model for bundle in bundles],
        [bundle.class_names for bundle in bundles],
    )
    if label and label not in names:
        raise ConfigError(f"--label: expected one of {', '.join(names)}, got {label}")
    fusion, temperature = _fusion(fused, bundles)
    videos = [SeenVideo(each, path) for each in runs]
    answer = task.answers(fusion.logits([video.mean_logits() for video in videos], task))
    number = names.index(label) if label else int(answer)
    middle = fusion.logits([video.logits(video.middle) for video in videos], task)
    return Explanation(
        path=str(path),
        label=names[number],
        probability=float(task.probabilities(middle, temperature)[number]),
        strips=tuple(_strip(video, number, task) for video in videos),
    )


def _fusion(fused: Fused | None, bundles: Sequence[Bundle]) -> tuple[Fusion, float]:
    """How the answers of runs become one, and the temperature of that; of one, it stays."""
    if fused:
        return fused.fusion(bundles), fused.calibration.temperature
    one = Fusion(rule="product", temperatures=(1.0,))
    return one, bundles[0].calibration.temperature


def _strip(video: SeenVideo, number: int, task: MultiClass) -> Strip:
    indices, bundle = video.middle, video.bundle
    logits = video.logits(indices)
    without = [
        video.logits(np.delete(indices, place)) for place in range(len(indices)) if len(indices) > 1
    ]
    stored, shrink = video.stored["frames"], video.config.clip.shrink
    pictures = [each for each in bundle.model.streams if STREAMS[each].is_picture]
    others = [each for each in bundle.model.streams if not STREAMS[each].is_picture]
    return Strip(
        run=video.run.folder,
        probability=float(task.probabilities(logits, bundle.calibration.temperature)[number]),
        frames=np.stack([decode_jpeg(stored[i], shrink=shrink) for i in indices]),
        seconds=indices / bundle.frames.fps,
        heat=_heat(video, pictures, number) if pictures else None,
        people=people_of(video, number) if others else None,
        importance=np.array([logits[number] - each[number] for each in without] or [0.0]),
    )


def _heat(video: SeenVideo, streams: Sequence[str], number: int) -> npt.NDArray[np.float32]:
    """The mean heat of streams of pictures, as large as frames, 1 where it is highest."""
    clip, side = video.clip(video.middle), video.bundle.frames.side
    found = []
    for stream in streams:
        cells = _part(video, stream).heat(clip, number)
        share = cells.shape[1] * cells.shape[2]  # A cell of a coarser map is more of the frame.
        found.append(tf.image.resize(share * cells[..., None], (side, side))[..., 0].numpy())
    heat = np.maximum(np.mean(found, axis=0), 0)
    return np.asarray(heat / max(float(heat.max()), 1e-9), np.float32)


def _part(video: SeenVideo, stream: str) -> MapStream | HidingStream:
    try:
        return MapStream(video.model, stream, video.config)
    except NoMapError:
        return HidingStream(video.model, stream, video.config, video.networks.get(stream))
