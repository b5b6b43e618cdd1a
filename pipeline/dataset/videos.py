"""The videos to train and to evaluate on, opened and read one by one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import FramesConfig, RunConfig, SplitConfig, expect
from pipeline.config.model import TaskName
from pipeline.dataset.pace import untuned
from pipeline.dataset.recordings import (
    Stretch,
    around_pieces,
    class_frames,
    whole,
    windows_of,
)
from pipeline.dataset.records import ReadVideo, record_reader
from pipeline.dataset.resplit import with_splits
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.dataset.unprepared import VideoFiles, encode_part, open_videos
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.rows import Labelling, Split
from pipeline.prepare.prepared import Store, open_store
from pipeline.prepare.record_index import Record
from pipeline.streams import IMAGES
from pipeline.workers.pool import num_cores

_SMALLEST = 8  # pixels of a side
IN_MEMORY_BYTES = 2**30
"""Of videos that come straight from their files: those that are kept, as JPEG, for all epochs."""

Data = Store | VideoFiles


def open_data(
    path: Path,
    frames: FramesConfig | None = None,
    split: SplitConfig | None = None,
    *,
    holds_out: bool = True,
    several: bool = False,
) -> Data:
    """Opens the videos to train or to evaluate on.

    Args:
        path: Folder of a prepared data set, or a table of videos (CSV) to take from their files.
        frames: For a table: rate, size and quality of the frames, else the defaults of `prepare`.
        split: Which videos train, validate and test; None: as they were prepared.
        holds_out: For a table without splits: whether some of its videos are for the test.
        several: For a table: whether a label may be several.

    Raises:
        DataError: There is neither at this path, or what is there cannot be used.
        ConfigError: There is no such fold.
    """
    data: Data
    if path.is_dir() or path.suffix.lower() != ".csv":
        data = open_store(path)
    else:
        data = open_videos(path, frames or FramesConfig(), holds_out=holds_out, several=several)
    return with_splits(data, split or SplitConfig())


def open_of_run(config: RunConfig) -> tuple[RunConfig, Data]:
    """Opens the videos that a run trains on; its configuration then has their frames.

    Raises:
        DataError: They cannot be opened, or lack images that the model takes.
        ConfigError: There is no such fold, or the task does not fit what is labelled, or the
            values of the run do not fit the task.
    """
    several = config.model.task == "video-multilabel"
    asked = dataclasses.replace(config.frames, shrink=1)
    data = open_data(Path(config.data), asked, config.split, several=several)
    for name in config.model.images:
        if name not in images_of(data):
            raise DataError(
                f"{data.path}: model.streams needs {IMAGES[name].title}, which is not in this "
                f"data set. Prepare it with --{name}, or choose other streams"
            )
    model = dataclasses.replace(
        config.model, task=_task(config.model.task, data), background=data.background
    )
    size, shrink = data.frames.size, config.clip.shrink
    whole = f"{data.path}: clip.shrink must divide the {size} pixels of its frames into 8 or more"
    expect(size % shrink == 0 and size // shrink >= _SMALLEST, whole, shrink)
    frames = dataclasses.replace(data.frames, shrink=shrink)
    known = dataclasses.replace(config, frames=frames, model=model)
    known.check_task()
    return known, data


def _task(asked: TaskName, data: Data) -> TaskName:
    """The task of a run, which its data set must be labelled for."""
    fitting: dict[Labelling, tuple[TaskName, ...]] = {
        "one": ("video",),
        "several": ("video-multilabel",),
        "frames": ("frames", "frames-multilabel"),
    }
    tasks = fitting[data.labelling]
    if asked == "auto":
        return tasks[-1] if isinstance(data, Store) and data.has_overlaps else tasks[0]
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


def images_of(data: Data) -> Collection[str]:
    """Names of the images that can be had of each video."""
    # Those of videos that come straight from their files are made as they are read.
    return data.frames.images if isinstance(data, Store) else IMAGES


def read_videos(
    data: Data, split: Split, config: RunConfig, numbers: Sequence[int] | None = None
) -> tf.data.Dataset:
    """Reads the videos of a split, or windows of its recordings, always in the same order.

    Args:
        data: The videos.
        split: Which of them.
        config: As for `video_reader`.
        numbers: Which of these, by number; None: all.

    Returns:
        Pairs of its number and what `video_reader` gives. The windows are those of evaluation, see
        `pipeline.dataset.recordings.windows_of`.
    """
    read, count = video_reader(data, split, config, at_random=False)
    wanted = np.array(range(count) if numbers is None else numbers, np.int64)
    chosen = untuned(tf.data.Dataset.from_tensor_slices(wanted))
    return chosen.map(lambda number: (number, read(number)), num_parallel_calls=num_cores())


def video_reader(
    data: Data, split: Split, config: RunConfig, *, at_random: bool = True
) -> tuple[ReadVideo, int]:
    """Reads any video of a split, or stretch of its recordings, by itself, inside tf.data.

    Args:
        data: The videos, or the features of their frames.
        split: Which of them.
        config: The run; what its model takes counts here, and the length of its clips.
        at_random: Whether clips of recordings are cut at random: then a stretch is longer than a
            clip, see `pipeline.dataset.recordings.around_pieces`.

    Returns:
        From the number of a video, int64 (), in the order of `of_split`, to `video` and `group`,
        string (); `label`, int64 (), or uint8 (C,) where a video has several, or uint8 (num_frames,
        C) of a recording; `num_frames`, int32 (); `first_frame`, int64 (), its number in the
        recording; and `frames` and what else of `IMAGES` the model takes, each the bytes of JPEG
        files, string (num_frames,); or, in place of them, `features` by stream, float32
        (num_frames, variants, F). And how many there are.
    """
    frames = data.frames.only(config.model.images)
    if not isinstance(data, Store):
        return _file_reader(data, split, frames), len(data.of_split(split))
    records = data.of_split(split)
    if data.labelling != "frames":
        stretches = [whole(record) for record in records]
    else:
        stretches = (around_pieces if at_random else windows_of)(records, config)
    if isinstance(data, FeatureVideos):
        return _feature_reader(data, split, stretches), len(stretches)
    return record_reader(data, stretches, frames.images), len(stretches)


def recordings_of(data: Data, split: Split) -> list[Record]:
    """The recordings of a split of a prepared data set.

    Raises:
        DataError: It has whole videos.
    """
    if not isinstance(data, Store) or data.labelling != "frames":
        raise DataError(f"{data.path}: expected recordings, got videos")
    return data.of_split(split)


def label_numbers(data: Data, split: Split) -> npt.NDArray[np.int64]:
    """The label numbers of the videos of a split, in the order of `of_split`; none is read."""
    return label_table(data, split).argmax(axis=1)


def label_table(data: Data, split: Split) -> npt.NDArray[np.int64]:
    """Which classes each video of a split has, 0 or 1; of recordings, each of their records.

    Returns:
        int64 (N, C); of a record of a recording, the frames at which each class holds.
    """
    if isinstance(data, Store) and data.labelling == "frames":
        return class_frames(data.of_split(split))
    number = {name: index for index, name in enumerate(data.class_names)}
    rows = [video.row for video in data.of_split(split)]
    table = np.zeros((len(rows), len(number)), np.int64)
    for cells, row in zip(table, rows, strict=True):
        cells[[number[name] for name in row.labels]] = 1
    return table


@contextmanager
def damage_named() -> Iterator[None]:
    """Within it, a shard or a video that was damaged or lost since it was opened is named.

    Raises:
        DataError: There is one, and it was read.
    """
    try:
        yield
    except tf.errors.UnknownError as error:  # so TensorFlow calls what Python raised within it
        reason = re.search(r"(?:VideoDecodeError|DataError): (.*)", str(error))
        if not reason:
            raise
        raise DataError(reason[1]) from None


def _file_reader(videos: VideoFiles, split: Split, frames: FramesConfig) -> ReadVideo:
    """Videos decoded from their files; some of them once for all epochs."""
    sources, names = videos.of_split(split), frames.images
    decode = _Remembered(lambda number: encode_part(sources[number], frames))
    describe = _described(videos, split)

    def read(number: tf.Tensor) -> dict[str, Any]:
        found = tf.numpy_function(decode, (number,), [tf.string] * len(names))
        images = dict(zip(names, (tf.ensure_shape(each, (None,)) for each in found), strict=True))
        return {**describe(number), **images, "num_frames": tf.size(images["frames"])}

    return read


def _described(data: Data, split: Split) -> ReadVideo:
    """Label, name and group of each video, without reading it."""
    videos = data.of_split(split)
    table = label_table(data, split)
    one = data.labelling == "one"
    columns = {
        "label": tf.constant(table.argmax(axis=1) if one else table.astype(np.uint8)),
        "video": tf.constant([video.name for video in videos]),
        "group": tf.constant([video.row.group for video in videos]),
    }
    return lambda number: {name: column[number] for name, column in columns.items()}


class _Remembered:
    """The images of videos as arrays of bytes, kept until they fill `IN_MEMORY_BYTES`."""

    def __init__(self, decode: Callable[[int], dict[str, list[bytes]]]) -> None:
        self._decode = decode
        self._kept: dict[int, list[np.ndarray]] = {}
        self._free = IN_MEMORY_BYTES

    def __call__(self, number: int) -> list[np.ndarray]:
        number = int(number)
        if number in self._kept:
            return self._kept[number]
        images = [np.array(each, object) for each in self._decode(number).values()]
        num_bytes = sum(len(image) for each in images for image in each)
        if num_bytes <= self._free:
            self._free -= num_bytes
            self._kept[number] = images
        return images


def _feature_reader(data: FeatureVideos, split: Split, stretches: Sequence[Stretch]) -> ReadVideo:
    """The features of the frames of each video or stretch of a recording, by stream."""
    spans = dict(zip(data.of_split(split), data.spans(split), strict=True))
    places = [
        slice(
            (start := spans[each.record].start + each.first),
            start + (each.num_frames or spans[each.record].num_frames),
        )
        for each in stretches
    ]
    arrays = [file.features for file in data.files.values()]
    num_frames = tf.constant([place.stop - place.start for place in places])
    recordings = data.labelling == "frames"
    describe = record_reader(data, stretches, ()) if recordings else _described(data, split)

    def take(number: int) -> list[np.ndarray]:
        return [array[places[number]] for array in arrays]

    def read(number: tf.Tensor) -> dict[str, Any]:
        found = tf.numpy_function(take, (number,), [tf.float32] * len(arrays))
        shaped = [
            tf.ensure_shape(features, (None, *array.shape[1:]))
            for features, array in zip(found, arrays, strict=True)
        ]
        features = dict(zip(data.files, shaped, strict=True))
        return {**describe(number), "num_frames": num_frames[number], "features": features}

    return read
