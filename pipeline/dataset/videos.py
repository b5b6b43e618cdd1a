"""The videos to train and to evaluate on, opened and read one by one."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import FramesConfig, RunConfig, SplitConfig
from pipeline.dataset.resplit import with_splits
from pipeline.dataset.stored_features import FeatureVideos
from pipeline.dataset.unprepared import VideoFiles, encode_part, open_videos
from pipeline.errors import DataError
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import Store, open_store
from pipeline.prepare.record import is_whole
from pipeline.streams import IMAGES
from pipeline.text import command, listed

IN_MEMORY_BYTES = 2**30
"""Of videos that come straight from their files: those that are kept, as JPEG, for all epochs."""

_BUFFER_BYTES = 2**18  # as in TensorFlow

Data = Store | VideoFiles
ReadVideo = Callable[[tf.Tensor], dict[str, Any]]


def open_data(
    path: Path,
    frames: FramesConfig | None = None,
    split: SplitConfig | None = None,
    *,
    holds_out: bool = True,
) -> Data:
    """Opens the videos to train or to evaluate on.

    Args:
        path: Folder of a prepared data set, or a table of videos (CSV) to take from their files.
        frames: For a table: rate, size and quality of the frames, else the defaults of `prepare`.
        split: Which videos train, validate and test; None: as they were prepared.
        holds_out: For a table without splits: whether some of its videos are for the test.

    Raises:
        DataError: There is neither at this path, or what is there cannot be used.
        ConfigError: There is no such fold.
    """
    data: Data
    if path.is_dir() or path.suffix.lower() != ".csv":
        data = open_store(path)
    else:
        data = open_videos(path, frames or FramesConfig(), holds_out=holds_out)
    return with_splits(data, split or SplitConfig())


def open_of_run(config: RunConfig) -> tuple[RunConfig, Data]:
    """Opens the videos that a run trains on; its configuration then has their frames.

    Raises:
        DataError: They cannot be opened, or lack images that the model takes.
        ConfigError: There is no such fold.
    """
    data = open_data(Path(config.data), config.frames, config.split)
    for name in config.model.images:
        if name not in images_of(data):
            raise DataError(
                f"{data.path}: model.streams needs {IMAGES[name].title}, which is not in this "
                f"data set. Prepare it with --{name}, or choose other streams"
            )
    return dataclasses.replace(config, frames=data.frames), data


def images_of(data: Data) -> Collection[str]:
    """Names of the images that can be had of each video."""
    # Those of videos that come straight from their files are made as they are read.
    return data.frames.images if isinstance(data, Store) else IMAGES


def read_videos(data: Data, split: Split, config: RunConfig) -> tf.data.Dataset:
    """Reads the videos of a split, always in the same order, see `video_reader`."""
    numbers = tf.data.Dataset.range(data.num_videos[split])
    return numbers.map(video_reader(data, split, config), num_parallel_calls=tf.data.AUTOTUNE)


def video_reader(data: Data, split: Split, config: RunConfig) -> ReadVideo:
    """Reads any video of a split by itself, inside tf.data.

    Args:
        data: The videos, or the features of their frames.
        split: Which of them.
        config: The run; what its model takes counts here.

    Returns:
        From the number of a video, int64 (), in the order of `of_split`, to `video` and `group`,
        string (); `label`, int64 (); `num_frames`, int32 (); and `frames` and what else of
        `IMAGES` the model takes, each the bytes of JPEG files, string (num_frames,); or, in place
        of them, `features` by stream, float32 (num_frames, variants, F).
    """
    if isinstance(data, FeatureVideos):
        return _feature_reader(data, split)
    frames = data.frames.only(config.model.images)
    if isinstance(data, Store):
        return _record_reader(data, split, frames)
    return _file_reader(data, split, frames)


def label_numbers(data: Data, split: Split) -> npt.NDArray[np.int64]:
    """The label numbers of the videos of a split, in the order of `of_split`; none is read."""
    number = {name: index for index, name in enumerate(data.class_names)}
    return np.array([number[video.row.label] for video in data.of_split(split)], np.int64)


def read_records(store: Store, frames: FramesConfig) -> tf.data.Dataset:
    """Reads the videos of all splits of a prepared data set, file by file."""
    parse = functools.partial(_parse, names=frames.images)
    return tf.data.TFRecordDataset([str(path) for path in _shards(store)]).map(parse)


@contextmanager
def damage_named(store: Data) -> Iterator[None]:
    """Within it, a shard or a video that was damaged since it was opened is an error that names it.

    Raises:
        DataError: There is one, and it was read.
    """
    try:
        yield
    except tf.errors.UnknownError as error:  # so TensorFlow calls what Python raised within it
        reason = re.search(r"VideoDecodeError: (.*)", str(error))
        if not reason:
            raise
        raise DataError(reason[1]) from None
    except tf.errors.DataLossError:
        if not isinstance(store, Store):
            raise
        damaged = [str(path) for path in _shards(store) if not is_whole(path)]
        raise DataError(
            f"{listed(damaged)}: damaged. Delete this, and run the same "
            f"{command('prepare')} command again: it redoes what is missing."
        ) from None


def _shards(store: Store) -> list[Path]:
    return [store.path / name for name in store.shards]


def _record_reader(store: Store, split: Split, frames: FramesConfig) -> ReadVideo:
    """The videos of a prepared data set.

    The records are parsed here: TensorFlow Datasets would map over the frames one by one, even to
    leave them as they are, which costs more than reading them.
    """
    records, names = store.of_split(split), frames.images
    paths = tf.constant([str(record.shard) for record in records])
    starts = tf.constant([record.start for record in records], tf.int64)

    def read(number: tf.Tensor) -> dict[str, Any]:
        # What `TFRecordDataset` is made of; that always begins with the first record.
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=paths[number],
            compression_type="",
            buffer_size=tf.constant(_BUFFER_BYTES, tf.int64),
            byte_offsets=starts[number],
        )
        record = tf.data.experimental.from_variant(records, tf.TensorSpec((), tf.string))
        return _parse(record.take(1).get_single_element(), names)

    return read


def _parse(record: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
    features = {
        **{name: tf.io.RaggedFeature(tf.string) for name in names},
        "label": tf.io.FixedLenFeature((), tf.int64),
        "video": tf.io.FixedLenFeature((), tf.string),
        "group": tf.io.FixedLenFeature((), tf.string),
    }
    parsed = tf.io.parse_single_example(record, features)
    return {**parsed, "num_frames": tf.size(parsed["frames"])}


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
    columns = {
        "label": tf.constant(label_numbers(data, split)),
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


def _feature_reader(data: FeatureVideos, split: Split) -> ReadVideo:
    """The features of the frames of each video, by stream."""
    spans = data.spans(split)
    arrays = [file.open() for file in data.files.values()]
    num_frames = tf.constant([span.num_frames for span in spans])
    describe = _described(data, split)

    def take(number: int) -> list[np.ndarray]:
        start, end = spans[number].start, spans[number].start + spans[number].num_frames
        return [array[start:end] for array in arrays]

    def read(number: tf.Tensor) -> dict[str, Any]:
        found = tf.numpy_function(take, (number,), [tf.float32] * len(arrays))
        shaped = [
            tf.ensure_shape(features, (None, *array.shape[1:]))
            for features, array in zip(found, arrays, strict=True)
        ]
        features = dict(zip(data.files, shaped, strict=True))
        return {**describe(number), "num_frames": num_frames[number], "features": features}

    return read
