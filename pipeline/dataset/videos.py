"""The videos to train and to evaluate on, opened, and read frame by frame inside tf.data."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import FramesConfig, RunConfig, SplitConfig, expect
from pipeline.config.model import TaskName
from pipeline.dataset.recordings import (
    Labeller,
    around_chunks,
    class_frames,
    labels_of,
    whole,
    windows_of,
)
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.errors import ConfigError, DataError
from pipeline.frames.chunks import StoredVideo
from pipeline.manifest.rows import Labelling, Split
from pipeline.manifest.stored import Clip
from pipeline.prepare.ensure import ensure_prepared
from pipeline.prepare.prepared import PreparedDataset, open_prepared
from pipeline.run import Run
from pipeline.streams import IMAGES
from pipeline.workers.pool import num_cores

AHEAD: Final = 2
"""Batches that are made before they are asked for."""

_SMALLEST = 8  # pixels of a side


def open_data(
    path: Path,
    frames: FramesConfig | None = None,
    split: SplitConfig | None = None,
    *,
    cache: Path = Path(RunConfig.data_cache),
    holds_out: bool = True,
    several: bool = False,
) -> PreparedDataset:
    """Opens the videos to train or to evaluate on, which are prepared first where they are not.

    Args:
        path: Folder of a prepared data set; or of videos, a table of them, or one of events.
        frames: Of what is not prepared: rate, size and quality of the frames, where they are 0 as
            `prepare` chooses, and what is stored beside them.
        split: Which videos train, validate and test; None: as they were prepared.
        cache: Folder for what is prepared here.
        holds_out: Of what is not prepared and has no splits: whether some of its videos are for the
            test.
        several: Of a table that is not prepared: whether a label may be several.

    Raises:
        DataError: There is neither at this path, or what is there cannot be used.
        ConfigError: There is no such fold.
    """
    prepared = ensure_prepared(
        path, cache, frames or FramesConfig(), holds_out=holds_out, several=several
    )
    return open_prepared(prepared).with_splits(split or SplitConfig())


def resolve(config: RunConfig) -> tuple[PreparedDataset, RunConfig]:
    """Opens the videos that a run trains on; its configuration then has their frames.

    Raises:
        DataError: They cannot be opened, or lack images that the model takes.
        ConfigError: There is no such fold, or the task does not fit what is labelled, or the
            values of the run do not fit the task.
    """
    data = open_data(
        Path(config.data),
        dataclasses.replace(config.frames.only(config.model.images), shrink=1, fps=0),
        config.split,
        cache=Path(config.data_cache),
        several=config.model.task == "video-multilabel",
    )
    for name in config.model.images:
        if name not in data.frames.images:
            raise DataError(
                f"{data.path}: model.streams needs {IMAGES[name].title}, which is not in this "
                f"data set. Prepare it with --{name}, or choose other streams"
            )
    model = dataclasses.replace(
        config.model, task=_task(config.model.task, data), background=data.background
    )
    size, shrink = data.frames.size, config.clip.shrink
    message = f"{data.path}: clip.shrink must divide the {size} pixels of its frames into 8 or more"
    expect(size % shrink == 0 and size // shrink >= _SMALLEST, message, shrink)
    frames = dataclasses.replace(data.frames, shrink=shrink)
    known = dataclasses.replace(config, frames=frames, model=model)
    known.check_task()
    return data, known


def data_of_run(run: Run, data: Path | None = None) -> PreparedDataset:
    """Opens the videos that a run was trained with; `data` is where they were moved to since.

    Raises:
        DataError: They are not there, or are others now.
    """
    config = run.config()
    path = data or Path(config.data)
    several = config.model.task == "video-multilabel"
    # What the rate was chosen by is there, too: it is chosen again.
    frames = dataclasses.replace(config.frames.only(config.model.images), shrink=1, fps=0)
    cache = Path(config.data_cache)
    try:
        opened = open_data(path, frames, config.split, cache=cache, several=several)
    except DataError:
        if path.exists():
            raise
        raise DataError(
            f"{path}: the data set that the run was trained on is not there. Say where it is "
            "now: --data"
        ) from None
    if list(opened.class_names) != run.class_names():
        raise DataError(f"{path} has other classes than the run was trained on. Train again")
    check_frames(run, opened)
    if run.environment().get("data_fingerprint") != opened.fingerprint:
        raise DataError(
            f"{path} was prepared anew since the run was trained: its test videos may have been "
            "in training. Train again"
        )
    return opened


def check_frames(run: Run, data: PreparedDataset) -> None:
    """Makes sure that what a model takes of videos is as in those that it was trained with.

    Raises:
        DataError: It is not.
    """
    config = run.config()
    frames = dataclasses.replace(config.frames.only(config.model.images), shrink=1)
    found = data.frames.only(set(config.model.images).intersection(data.frames.images))
    if found != frames:
        raise DataError(
            f"{data.path} was prepared with other frames than the run was trained on: "
            f"{found} instead of {frames}. Prepare it in the same way, or train again"
        )


def _task(asked: TaskName, data: PreparedDataset) -> TaskName:
    """The task of a run, which its data set must be labelled for."""
    fitting: dict[Labelling, tuple[TaskName, ...]] = {
        "one": ("video",),
        "several": ("video-multilabel",),
        "frames": ("frames", "frames-multilabel"),
    }
    tasks = fitting[data.labelling]
    if asked == "auto":
        return tasks[-1] if data.has_overlaps else tasks[0]
    if asked not in tasks:
        how = {
            "one": "of videos with one label each",
            "several": "of videos with several labels",
            "frames": "of recordings; --cut-events makes videos of their events",
        }
        preset = "recordings" if data.labelling == "frames" else "small"
        raise ConfigError(
            f"model.task {asked} does not fit {data.path}, a data set {how[data.labelling]}: it is "
            f"for {' or '.join(tasks)} (--config {preset})"
        )
    return asked


class VideoReader:
    """Reads any video of a split, or stretch of its recordings, by itself, inside tf.data.

    Args:
        data: The videos, or the features of their frames.
        split: Which of them.
        config: The run; what its model takes counts here, and the length of its clips.
        at_random: Whether clips of recordings are cut at random: then a stretch is longer than a
            clip, see `pipeline.dataset.recordings.around_chunks`; else it is a window of
            evaluation, see `windows_of`.

    Attributes:
        count: How many there are.
    """

    def __init__(
        self, data: PreparedDataset, split: Split, config: RunConfig, *, at_random: bool = True
    ) -> None:
        clips, self._data = data.of_split(split), data
        if data.labelling == "frames":
            self._stretches = (around_chunks if at_random else windows_of)(clips, config)
        else:
            self._stretches = [whole(clip) for clip in clips]
        self.count = len(self._stretches)
        self._labeller = functools.cache(lambda name: labels_of(self._clip_of[name], data))
        self._clip_of = {clip.name: clip for clip in clips}
        self._columns = {
            "num_frames": tf.constant([each.num_frames for each in self._stretches], tf.int32),
            "video": tf.constant([each.clip.name for each in self._stretches]),
            "group": tf.constant([each.clip.row.group for each in self._stretches]),
        }
        if data.labelling == "frames":
            first = [each.first for each in self._stretches]
            self._columns["first_frame"] = tf.constant(first, tf.int64)
        else:
            table = label_table(data, split)
            one = data.labelling == "one"
            labels = table.argmax(axis=1) if one else table.astype(np.uint8)
            self._columns["label"] = tf.constant(labels)

    def describe(self, number: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is known of a video, by its number, int64 (), before any frame of it is read.

        Returns:
            `number`; `video` and `group`, string (); `num_frames`, int32 (); `label`, int64 (), or
            uint8 (C,) where a video has several, or uint8 (num_frames, C) of a recording, and of
            that `first_frame`, int64 (), the number of the stretch's first frame in it.
        """
        known = {name: column[number] for name, column in self._columns.items()}
        if "label" not in known:
            label = tf.numpy_function(self._labels, (number,), tf.uint8)
            known["label"] = tf.ensure_shape(label, (None, len(self._data.class_names)))
        return {"number": number, **known}

    def _labels(self, number: int) -> npt.NDArray[np.uint8]:
        stretch = self._stretches[number]
        label: Labeller = self._labeller(stretch.clip.name)
        return label(stretch.first, stretch.num_frames)

    @property
    def is_of_features(self) -> bool:
        """Whether features are read, not images."""
        return isinstance(self._data, FeatureVideos)

    def __call__(self, number: tf.Tensor, frames: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Frames of a video, and no others.

        Args:
            number: Of the video, int64 ().
            frames: Numbers of its frames, int64 (T,), for each name of what is read of them: of
                `IMAGES`, or `STREAM_features` of videos by their features.

        Returns:
            For each name the bytes of JPEG files, string (T,), or float32 (T, variants, F).
        """
        names, kind = list(frames), tf.float32 if self.is_of_features else tf.string
        take = functools.partial(self._take, names)
        found = tf.numpy_function(take, (number, *frames.values()), [kind] * len(names))
        return {
            name: tf.ensure_shape(each, (*frames[name].shape, *self._shape(name)))
            for name, each in zip(names, tf.nest.flatten(found), strict=True)
        }

    def _shape(self, name: str) -> tuple[int, ...]:
        """Of what is read of one frame."""
        if isinstance(self._data, FeatureVideos):
            return self._data.features[name].shape[1:]
        return ()

    def _take(
        self, names: Sequence[str], number: int, *frames: npt.NDArray[np.int64]
    ) -> list[npt.NDArray[Any]]:
        stretch = self._stretches[number]
        places = [stretch.first + each for each in frames]
        if isinstance(self._data, FeatureVideos):
            found = zip(names, places, strict=True)
            return [self._data.features[name].of(stretch.clip, each) for name, each in found]
        video = stored_video(self._data.frames_folder, stretch.clip.frames)
        first = stretch.clip.first_frame
        read = [
            video.read((first + each).tolist(), [name])
            for name, each in zip(names, places, strict=True)
        ]
        return [np.array(images, object) for (images,) in read]


@functools.lru_cache(maxsize=512)
def stored_video(folder: Path, key: str) -> StoredVideo:
    """The frames of a video; the indices of some are held."""
    return StoredVideo(folder, key)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same; how far ahead it works, and what is made of it, is said, not tuned while it runs.

    Tuning finds nothing better here. And in a process of one core, an iterator that is given up may
    wait for the next time that TensorFlow tunes: for as long as it has run, a minute at most
    (TensorFlow 2.21).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def read_videos(reader: VideoReader, numbers: Sequence[int] | None = None) -> tf.data.Dataset:
    """The videos of a reader, always in the same order.

    Args:
        reader: The videos.
        numbers: Which of these, by number; None: all.

    Returns:
        What `VideoReader.describe` gives of each.
    """
    wanted = np.array(range(reader.count) if numbers is None else numbers, np.int64)
    chosen = untuned(tf.data.Dataset.from_tensor_slices(wanted))
    return chosen.map(reader.describe, num_parallel_calls=num_cores())


def recordings_of(data: PreparedDataset, split: Split) -> list[Clip]:
    """The recordings of a split of a prepared data set.

    Raises:
        DataError: It has whole videos.
    """
    if data.labelling != "frames":
        raise DataError(f"{data.path}: expected recordings, got videos")
    return data.of_split(split)


def recording_frames(
    store: PreparedDataset, clip: Clip, numbers: Sequence[int]
) -> list[npt.NDArray[np.uint8]]:
    """Some frames of a recording by their numbers, each uint8 (size, size, 3)."""
    video = stored_video(store.frames_folder, clip.frames)
    (images,) = video.read([clip.first_frame + number for number in numbers], ["frames"])
    return [IMAGES["frames"].decode(image, store.frames) for image in images]


def label_numbers(data: PreparedDataset, split: Split) -> npt.NDArray[np.int64]:
    """The label numbers of the videos of a split, in the order of `of_split`."""
    return label_table(data, split).argmax(axis=1)


def label_table(data: PreparedDataset, split: Split) -> npt.NDArray[np.int64]:
    """Which classes each video of a split has, 0 or 1; of recordings, each of their chunks.

    Returns:
        int64 (N, C); of a chunk of a recording, the frames at which each class holds.
    """
    if data.labelling == "frames":
        return class_frames(data, data.of_split(split))
    number = {name: index for index, name in enumerate(data.class_names)}
    rows = [video.row for video in data.of_split(split)]
    table = np.zeros((len(rows), len(number)), np.int64)
    for cells, row in zip(table, rows, strict=True):
        cells[[number[name] for name in row.labels]] = 1
    return table


@contextmanager
def damage_named() -> Iterator[None]:
    """Within it, a file of frames that was damaged or lost since it was opened is named.

    Raises:
        DataError: There is one, and it was read.
    """
    try:
        yield
    except tf.errors.UnknownError as error:  # so TensorFlow calls what Python raised within it
        reason = re.search(r"DataError: (.*)", str(error))
        if not reason:
            raise
        raise DataError(reason[1]) from None
