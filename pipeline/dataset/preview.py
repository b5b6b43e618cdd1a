"""Contact sheets: what training and evaluation see of the videos."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from pipeline.config import RunConfig
from pipeline.dataset.clip_batches import augmented_clips, evaluation_clips
from pipeline.dataset.videos import Data, damage_named
from pipeline.errors import ConfigError
from pipeline.figures import any_script, frame_strip

_GAP = 3  # pixels between strips
_WIDTH_INCHES = 16.0
_TITLE_INCHES = 0.35
_DPI = 100
_PLAIN: dict[str, Any] = {"parse_math": False}  # A name may hold dollar signs.


class _Video(NamedTuple):
    """The clip of evaluation, and below it clips of training, uint8 (H, W, 3)."""

    title: str
    label: int
    picture: npt.NDArray[np.uint8]


def write_contact_sheets(
    data: Data, config: RunConfig, folder: Path, *, num_videos: int = 3, num_augmented: int = 2
) -> list[Path]:
    """Draws a sheet for each class: clips as evaluation cuts them, augmented ones below.

    Args:
        data: The videos; those of training are drawn.
        config: The run; its clip and augment count here. Frames are drawn, whatever its model
            takes.
        folder: Where to; one PNG file a class.
        num_videos: Videos of each class, at most.
        num_augmented: Augmented clips of each video.

    Returns:
        The files.

    Raises:
        DataError: A video or a shard is damaged.
        ConfigError: The folder cannot be made.
    """
    model = dataclasses.replace(config.model, streams=("rgb",))
    config = dataclasses.replace(config, model=model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out: {folder} cannot be made: {error.strerror}. Name another folder"
        ) from None
    chosen: dict[int, list[_Video]] = {label: [] for label in range(len(data.class_names))}
    with damage_named(data):
        for video in _videos(data, config, num_augmented):
            if len(chosen[video.label]) < num_videos:
                chosen[video.label].append(video)
            if all(len(videos) == num_videos for videos in chosen.values()):
                break
    files = []
    for label, videos in chosen.items():
        name = data.class_names[label]
        plain_name = re.sub(r"[^\w-]+", "_", name)[:60]
        files.append(folder / f"{label:03d}_{plain_name}.png")
        with any_script():
            _sheet(name, videos).savefig(files[-1])
    return files


def _videos(data: Data, config: RunConfig, num_augmented: int) -> Iterator[_Video]:
    one_by_one = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_size=1))
    plain = evaluation_clips(data, one_by_one, "train").unbatch()
    augmented = [augmented_clips(data, config, epoch=epoch) for epoch in range(num_augmented)]
    for (inputs, label, source), *others in zip(plain, *augmented, strict=False):
        clips = [inputs, *(inputs for inputs, _ in others)]
        strips = [frame_strip(clip["frames"].numpy(), clip["mask"].numpy()) for clip in clips]
        group, video = (source[key].numpy().decode() for key in ("group", "video"))
        spaced = np.pad(strips, ((0, 0), (0, _GAP), (0, 0), (0, 0)), constant_values=255)
        yield _Video(f"{video}   (group {group})", int(label), np.concatenate(spaced))


def _sheet(name: str, videos: list[_Video]) -> Figure:
    figure = Figure(figsize=(_WIDTH_INCHES, 1.0), dpi=_DPI)
    heights = [_WIDTH_INCHES * video.picture.shape[0] / video.picture.shape[1] for video in videos]
    figure.set_figheight(0.5 + sum(heights) + _TITLE_INCHES * len(videos))
    top = figure.get_figheight() - 0.5
    title = f"{name}: as evaluation cuts it, and augmented below"
    figure.text(0.5, (top + 0.2) / figure.get_figheight(), title, ha="center", **_PLAIN, size=13)
    for video, height in zip(videos, heights, strict=True):
        top -= _TITLE_INCHES + height
        place = (0.005, top / figure.get_figheight(), 0.99, height / figure.get_figheight())
        axes = figure.add_axes(place)
        axes.imshow(video.picture, aspect="auto", interpolation="nearest")
        axes.set_title(video.title, loc="left", fontsize=10, pad=3, **_PLAIN)
        axes.axis("off")
    return figure
