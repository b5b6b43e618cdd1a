"""Why a model answers as it does: where it looks in each frame, and which frames it needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from matplotlib import colormaps
from matplotlib.figure import Figure

from pipeline.dataset.sampling import sample_clip
from pipeline.errors import ConfigError
from pipeline.figures import PLAIN, any_script
from pipeline.inference.annotate import redraw
from pipeline.inference.bundle import Bundle, bundle_of
from pipeline.inference.clips import Images, as_batch, cut_clips, decode_clip
from pipeline.inference.heat import HeatModel
from pipeline.models.recognizer import float32_twin, load_recognizer
from pipeline.prepare.stored_frames import encode_video
from pipeline.run import Run
from pipeline.streams import STREAMS
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.task import exclusive_task_of
from pipeline.video import decode_jpeg, resize

_DPI = 110


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a video got an answer.

    Attributes:
        path: The video file.
        label: The class that is explained.
        probability: Its probability in the clip, 0 to 1.
        frames: The frames of the clip, uint8 (N, H, W, 3).
        seconds: Where they are in the video, float (N,).
        heat: How much the motion at each place speaks for the class, float32 (N, H, W), 0 to 1.
        importance: By how much the logit of the class falls without each frame, float (N,);
            below 0 where it rises.
    """

    path: str
    label: str
    probability: float
    frames: npt.NDArray[np.uint8]
    seconds: npt.NDArray[np.float64]
    heat: npt.NDArray[np.float32]
    importance: npt.NDArray[np.float64]


def explain(run: Run, path: str | Path, label: str = "") -> Explanation:
    """Explains what a run says of a video, by its middle clip.

    Args:
        run: A trained run.
        path: The video file.
        label: The class to explain; empty: the answer.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        ConfigError: There is no such class, the backbone has no map of features, a stream sees no
            pictures, or the run is not of task video.
        DataError: The run cannot be used.

    Source: the heat, see `HeatModel.heat`; occlusion, Zeiler and Fergus (2014), section 4.2, here
    in time.
    """
    config, bundle = run.config(), bundle_of(run)
    task = exclusive_task_of(config.model)
    numbers = [name for name in config.model.streams if not STREAMS[name].is_picture]
    if numbers:
        raise ConfigError(
            f"the stream {', '.join(numbers)} sees no pictures, in which a place could be shown. "
            "Explain a run of other streams"
        )
    if config.foreign:
        raise ConfigError(
            f"the stream {', '.join(config.foreign)} has a network from a file that gives features "
            "and no more, so that no place can be shown. Explain a run of another backbone"
        )
    if label and label not in bundle.class_names:
        raise ConfigError(f"--label: expected one of {', '.join(bundle.class_names)}, got {label}")
    model = load_recognizer(run.model_file, config, len(bundle.class_names))
    model = float32_twin(model, config)
    heat_model = HeatModel(model, config)
    stored, _ = encode_video(path, bundle.frames)
    indices = middle_clip(stored, bundle)
    clip = clip_of(stored, indices, bundle)
    logits = _logits(model, clip, bundle)
    number = bundle.class_names.index(label) if label else _answer(model, stored, bundle, task)
    without = [
        _logits(model, clip_of(stored, np.delete(indices, place), bundle), bundle)
        for place in range(len(indices))
        if len(indices) > 1
    ]
    shrink = config.clip.shrink
    return Explanation(
        path=str(path),
        label=bundle.class_names[number],
        probability=float(task.probabilities(logits, bundle.calibration.temperature)[number]),
        frames=np.stack([decode_jpeg(stored["frames"][i], shrink=shrink) for i in indices]),
        seconds=indices / bundle.frames.fps,
        heat=_on_frames(heat_model.heat(clip, number), clip),
        importance=np.array([logits[number] - each[number] for each in without] or [0.0]),
    )


def _answer(
    model: keras.Model, stored: dict[str, list[bytes]], bundle: Bundle, task: Exclusive
) -> int:
    """The class that classifying gives, from all views."""
    clips = cut_clips(stored, bundle.clip)
    logits = [_logits(model, decode_clip(clip, bundle), bundle) for clip in clips]
    return int(task.answers(np.mean(logits, axis=0)))


def middle_clip(stored: dict[str, list[bytes]], bundle: Bundle) -> npt.NDArray[np.int64]:
    """Indices of the stored frames that the middle clip has, without padding."""
    indices, mask = sample_clip(len(stored["frames"]), bundle.clip)
    return indices[mask]


def clip_of(
    stored: dict[str, list[bytes]], indices: npt.NDArray[np.int64], bundle: Bundle
) -> Images:
    """Some of the stored frames of a video, and what else the model takes of them."""
    clip = {name: [each[index] for index in indices] for name, each in stored.items()}
    return decode_clip(clip, bundle)


def _logits(model: keras.Model, clip: Images, bundle: Bundle) -> np.ndarray:
    logits: np.ndarray = model.predict_on_batch(as_batch(clip, bundle.clip.num_frames))[0]
    return logits


def _on_frames(cells: npt.NDArray[np.float32], clip: Images) -> npt.NDArray[np.float32]:
    """Heat as large as the frames, 1 where it is highest in the clip."""
    size = next(iter(clip.values())).shape[1:3]
    heat = tf.image.resize(np.maximum(cells, 0)[..., None], size)[..., 0].numpy()
    return np.asarray(heat / max(float(heat.max()), 1e-9))


def warm(
    frame: npt.NDArray[np.uint8], heat: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.uint8]:
    """A frame under its heat.

    Args:
        frame: uint8 (H, W, 3).
        heat: float (H, W), 0 to 1.

    Returns:
        uint8 (H, W, 3): grey where there is no heat, coloured where there is.
    """
    grey = frame.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    colours = 255 * colormaps["inferno"](heat)[..., :3]
    share = 0.75 * heat[..., None]
    mixed = (1 - share) * grey + share * colours
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def draw_strip(explanation: Explanation, path: Path) -> None:
    """Draws the frames of the clip under their heat, and how much each frame matters."""
    number = len(explanation.frames)
    with any_script():
        figure = Figure(figsize=(max(6.0, 1.1 * number), 3.9), layout="constrained")
        figure.suptitle(
            f"{explanation.path}: why {explanation.label} {explanation.probability:.2f}",
            **PLAIN,
        )
        rows = figure.subplots(3, number, squeeze=False, height_ratios=[1, 1, 0.8])
        for column, (frame, heat) in enumerate(
            zip(explanation.frames, explanation.heat, strict=True)
        ):
            rows[0, column].imshow(frame)
            rows[0, column].set_title(f"{explanation.seconds[column]:.1f} s", fontsize=8)
            rows[1, column].imshow(warm(frame, heat))
        for axes in rows.flat:
            axes.axis("off")
        below = figure.add_subplot(rows[2, 0].get_gridspec()[2, :])
        colours = ["#1f5a94" if value > 0 else "#c9a06a" for value in explanation.importance]
        below.bar(np.arange(number), explanation.importance, 0.6, color=colours)
        below.axhline(0, color="0.5", linewidth=0.8)
        below.set_xlim(-0.5, number - 0.5)
        below.set_xticks([])
        below.set_ylabel("logit lost\nwithout it", fontsize=8)
        below.tick_params(labelsize=8)
        below.spines[["top", "right", "bottom"]].set_visible(False)
        figure.savefig(path, dpi=_DPI)


def write_heat_video(explanation: Explanation, path: Path) -> None:
    """Writes the video anew, each frame under the heat of the nearest frame of the clip.

    Raises:
        VideoWriteError: It cannot be written.
    """

    def draw(frame: npt.NDArray[np.uint8], seconds: float) -> npt.NDArray[np.uint8]:
        nearest = int(np.abs(explanation.seconds - seconds).argmin())
        levels = (255 * explanation.heat[nearest]).astype(np.uint8)[..., None].repeat(3, axis=-1)
        heat = resize(levels, frame.shape[:2])[..., 0].astype(np.float32) / 255
        return warm(frame, heat)

    redraw(explanation.path, path, draw)
