"""Contact sheets: what training and evaluation see of the videos."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.config import ModelConfig, RunConfig
from pipeline.dataset.clip_batches import augmented_clips, evaluation_clips
from pipeline.dataset.recordings import recording_labels, windows_of
from pipeline.dataset.videos import damage_named, label_table
from pipeline.errors import ConfigError
from pipeline.figures import PLAIN, any_script, class_colours, frame_strip
from pipeline.pose.drawing import draw_points
from pipeline.prepare.prepared import PreparedDataset
from pipeline.text import clock

_WIDTH_INCHES = 16.0
_TITLE_INCHES = 0.35
_TRACK_INCHES = 0.18
_GAP_INCHES = 0.06  # below a clip
_DPI = 100
_POSE_SIDE = 128  # pixels of a picture of key points, at least
_MOST_FRAMES = 16  # that are drawn of a clip of a recording


class _Clip(NamedTuple):
    """A clip to draw.

    Attributes:
        picture: Some of its frames side by side, uint8 (H, W, 3).
        tracks: By class that holds at some frame of a recording, where it does, bool (T,).
    """

    picture: npt.NDArray[np.uint8]
    tracks: dict[str, npt.NDArray[np.bool_]]


class _Video(NamedTuple):
    """A video, with the clip of evaluation, and below it clips of training."""

    title: str
    clips: list[_Clip]


def write_contact_sheets(
    data: PreparedDataset,
    config: RunConfig,
    folder: Path,
    *,
    num_videos: int = 3,
    num_augmented: int = 2,
) -> list[Path]:
    """Draws a sheet for each class: clips as evaluation cuts them, augmented ones below.

    Args:
        data: The videos; those of training are drawn.
        config: The run; its clip and augment count here. Frames are drawn, whatever its model
            takes; and key points where it takes them.
        folder: Where to; one PNG file a class.
        num_videos: Videos of each class, at most; of recordings, in each of which it holds, a
            window.
        num_augmented: Augmented clips of each video.

    Returns:
        The files.

    Raises:
        DataError: A file of frames is damaged.
        ConfigError: The folder cannot be made.
    """
    config = dataclasses.replace(
        config,
        model=drawn(config.model),
        train=dataclasses.replace(config.train, batch_size=1),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out: {folder} cannot be made: {error.strerror}. Name another folder"
        ) from None
    files = []
    with damage_named(), any_script():
        for label, numbers in enumerate(_examples(data, config, num_videos)):
            name = data.class_names[label]
            plain_name = re.sub(r"[^\w-]+", "_", name)[:60]
            files.append(folder / f"{label:03d}_{plain_name}.png")
            videos = list(_videos(data, config, numbers, num_augmented))
            _sheet(name, videos, class_colours(data.class_names)).savefig(files[-1])
    return files


def drawn(model: ModelConfig) -> ModelConfig:
    """A network that takes what is drawn: frames, and key points where a network takes them."""
    streams = ("rgb", "pose") if "pose" in model.streams else ("rgb",)
    return dataclasses.replace(model, streams=streams)


def _examples(data: PreparedDataset, config: RunConfig, most: int) -> list[list[int]]:
    """By class the numbers of training videos, or windows of recordings, in which it holds.

    Of each recording there is one, that in which it holds longest.
    """
    if data.labelling == "frames":
        table, owners = _windows(data, config)
    else:
        table = label_table(data, "train")
        owners = np.arange(len(table))
    found = []
    for counts in table.T:
        order = np.lexsort((-counts, owners))
        _, first = np.unique(owners[order], return_index=True)
        best = order[first]
        found.append(best[counts[best] > 0][:most].tolist())
    return found


def _windows(
    store: PreparedDataset, config: RunConfig
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """At how many frames of each window each class holds, int (W, C), and of which recording."""
    records = store.of_split("train")
    place = {record.name: number for number, record in enumerate(records)}
    labels = recording_labels(store, records)
    windows = windows_of(records, config)
    owners = np.array([place[each.clip.name] for each in windows])
    parts = [
        labels[owner][each.first :][: each.num_frames]
        for owner, each in zip(owners, windows, strict=True)
    ]
    return np.array([(part == 1).sum(axis=0) for part in parts]), owners


def _videos(
    data: PreparedDataset, config: RunConfig, numbers: Sequence[int], num_augmented: int
) -> Iterator[_Video]:
    plain = evaluation_clips(data, config, "train", numbers=numbers).unbatch()
    augmented = [
        augmented_clips(data, config, epoch=epoch, numbers=numbers)
        for epoch in range(num_augmented)
    ]
    for (inputs, label, source), *others in zip(plain, *augmented, strict=True):
        group, video = (source[key].numpy().decode() for key in ("group", "video"))
        title = f"{video}   (group {group})"
        if "first_frame" in source:
            title += f"   from {clock(int(source['first_frame']) / data.frames.fps)} on"
        if label.shape.rank == 1:
            title += f"   {', '.join(np.array(data.class_names)[label.numpy() == 1])}"
        clips = [_clip(inputs, label, data) for inputs, label in [(inputs, label), *others]]
        yield _Video(title, clips)


def _clip(inputs: dict[str, Any], label: Any, data: PreparedDataset) -> _Clip:
    class_names, names = data.class_names, data.frames.key_points
    mask = inputs["mask"].numpy()
    shown, tracks = np.arange(len(mask)), {}
    if label.shape.rank == 2 or "pose" in inputs:
        shown = np.linspace(0, len(mask) - 1, min(_MOST_FRAMES, len(mask))).round().astype(int)
    if label.shape.rank == 2:
        holds = label.numpy().T == 1
        tracks = {name: at for name, at in zip(class_names, holds, strict=True) if at.any()}
    frames = inputs["frames"].numpy()[shown]
    if "pose" not in inputs:
        return _Clip(frame_strip(frames, mask[shown]), tracks)
    larger = -(-_POSE_SIDE // frames.shape[1])
    frames = frames.repeat(larger, axis=1).repeat(larger, axis=2)
    points = inputs["pose"].numpy()[shown]
    people = np.stack([draw_points(each, frames.shape[1], names) for each in points])
    strips = [frame_strip(each, mask[shown]) for each in (frames, people)]
    return _Clip(np.concatenate(strips), tracks)


def _sheet(name: str, videos: Sequence[_Video], colours: Mapping[str, Any]) -> Figure:
    heights = [[_height(clip) for clip in video.clips] for video in videos]
    total = 0.5 + sum(_TITLE_INCHES + sum(each) for each in heights)
    figure = Figure(figsize=(_WIDTH_INCHES, total), dpi=_DPI)
    top = total - 0.5
    title = f"{name}: as evaluation cuts it, and augmented below"
    figure.text(0.5, (top + 0.2) / total, title, ha="center", size=13, **PLAIN)
    for video, of_clips in zip(videos, heights, strict=True):
        top -= _TITLE_INCHES
        for clip, height in zip(video.clips, of_clips, strict=True):
            below = _TRACK_INCHES * len(clip.tracks)
            axes = figure.add_axes(_place(top, height - below - _GAP_INCHES, total))
            axes.imshow(clip.picture, aspect="auto", interpolation="nearest")
            axes.axis("off")
            if clip is video.clips[0]:
                axes.set_title(video.title, loc="left", fontsize=10, pad=3, **PLAIN)
            if clip.tracks:
                axes = figure.add_axes(_place(top - height + below + _GAP_INCHES, below, total))
                _draw_tracks(axes, clip.tracks, colours)
            top -= height
    return figure


def _height(clip: _Clip) -> float:
    strip = _WIDTH_INCHES * clip.picture.shape[0] / clip.picture.shape[1]
    return strip + _GAP_INCHES + _TRACK_INCHES * len(clip.tracks)


def _place(top: float, height: float, total: float) -> tuple[float, float, float, float]:
    return 0.005, (top - height) / total, 0.99, height / total


def _draw_tracks(
    axes: Axes, tracks: Mapping[str, npt.NDArray[np.bool_]], colours: Mapping[str, Any]
) -> None:
    """A row a class, which is coloured where it holds."""
    for row, (name, holds) in enumerate(tracks.items()):
        edges = np.flatnonzero(np.diff(holds.astype(int), prepend=0, append=0)).reshape(-1, 2)
        spans = [(start, end - start) for start, end in edges.tolist()]
        axes.broken_barh(spans, (row + 0.1, 0.8), facecolors=colours[name], alpha=0.5)
        place = (edges[0, 0] + 0.1, row + 0.5)
        axes.text(*place, name, va="center_baseline", fontsize=8, **PLAIN)
    axes.set(xlim=(0, len(holds)), ylim=(len(tracks), 0))
    axes.axis("off")
