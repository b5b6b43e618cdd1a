"""The videos to train and to evaluate on, opened and read one by one."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.config import FramesConfig, RunConfig, SplitConfig
from pipeline.data.features import FeatureVideos
from pipeline.data.frames import image_names
from pipeline.data.manifest import Split
from pipeline.data.resplit import with_splits
from pipeline.data.shards.record import is_whole
from pipeline.data.store import Store, open_store
from pipeline.data.video_files import VideoFiles, encode_part, open_videos
from pipeline.errors import DataError
from pipeline.text import listed

IN_MEMORY_VIDEOS = 2000
"""Videos that are kept in memory, as JPEG, when they come straight from their files."""

Data = Store | VideoFiles
ClipSource = Store | VideoFiles | FeatureVideos


def open_data(
    path: Path, frames: FramesConfig | None = None, split: SplitConfig | None = None
) -> Data:
    """Opens the videos to train or to evaluate on.

    Args:
        path: Folder of a prepared data set, or a table of videos (CSV) to take from their files.
        frames: For a table: rate, size and quality of the frames, else the defaults of `prepare`.
        split: Which videos train, validate and test; None: as they were prepared.

    Raises:
        DataError: There is neither at this path, or what is there cannot be used.
        ConfigError: There is no such fold.
    """
    data: Data
    if path.is_dir() or path.suffix.lower() != ".csv":
        data = open_store(path)
    else:
        data = open_videos(path, frames or FramesConfig())
    return with_splits(data, split or SplitConfig())


def read_videos(data: ClipSource, split: Split, config: RunConfig) -> tf.data.Dataset:
    """Reads the videos of a split, always in the same order.

    Args:
        data: The videos, or the features of their frames.
        split: Which of them.
        config: The run; what its model takes counts here.

    Returns:
        `video` and `group`, string (); `label`, int64 (); `num_frames`, int32 (); and `frames`
        and, if the model takes it, `flow`, each the bytes of JPEG files, string (num_frames,); or,
        in place of them, `features` by stream, float32 (num_frames, variants, F).
    """
    frames = dataclasses.replace(data.frames, flow="flow" in config.model.images)
    if isinstance(data, FeatureVideos):
        videos = _features(data, split)
    elif isinstance(data, Store):
        videos = _records(data, split, frames)
    else:
        videos = _files(data, split, frames)
    return videos.apply(tf.data.experimental.assert_cardinality(data.num_videos[split]))


def read_records(store: Store, frames: FramesConfig) -> tf.data.Dataset:
    """Reads the videos of all splits of a prepared data set, in the order of `read_videos`."""
    parse = functools.partial(_parse, names=image_names(frames))
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
            f"{listed(damaged)}: damaged. Delete this, and run the same python scripts/prepare.py "
            "command again: it redoes what is missing."
        ) from None


def _shards(store: Store) -> list[Path]:
    splits = store.builder.info.splits.values()
    return [Path(path) for split in splits for path in split.filepaths]


def _records(store: Store, split: Split, frames: FramesConfig) -> tf.data.Dataset:
    """The videos of a prepared data set.

    The records are parsed here: TensorFlow Datasets would map over the frames one by one, even to
    leave them as they are, which costs more than reading them.
    """
    if store.is_resplit:
        return read_records(store, frames).filter(_IsOf(store.groups(split)))
    files = [str(path) for path in store.builder.info.splits[split].filepaths]
    parse = functools.partial(_parse, names=image_names(frames))
    return tf.data.TFRecordDataset(files).map(parse)


class _IsOf:
    """Whether a video is of one of some groups."""

    def __init__(self, groups: Iterable[str]) -> None:
        names = sorted(groups)
        table = tf.lookup.KeyValueTensorInitializer(names, [True] * len(names), value_dtype=tf.bool)
        self._table = tf.lookup.StaticHashTable(table, default_value=False)

    def __call__(self, video: dict[str, tf.Tensor]) -> tf.Tensor:
        return self._table.lookup(video["group"])


def _files(videos: VideoFiles, split: Split, frames: FramesConfig) -> tf.data.Dataset:
    """Videos decoded from their files; where they are few, once for all epochs."""
    sources, names = videos.of_split(split), image_names(frames)

    def decode(index: int) -> Any:
        images = encode_part(sources[index], frames)
        return [np.array(images[name], object) for name in names]

    def read(video: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        images = tf.numpy_function(decode, (video.pop("index"),), [tf.string] * len(names))
        shaped = [tf.ensure_shape(image, (None,)) for image in images]
        return {**dict(zip(names, shaped, strict=True)), **video, "num_frames": tf.size(shaped[0])}

    columns = {
        "index": np.arange(len(sources)),
        "label": [videos.class_names.index(source.row.label) for source in sources],
        "video": [source.name for source in sources],
        "group": [source.row.group for source in sources],
    }
    rows = tf.data.Dataset.from_tensor_slices(columns)
    decoded = rows.map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.cache() if len(sources) <= IN_MEMORY_VIDEOS else decoded


def _parse(record: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
    features = {
        **{name: tf.io.RaggedFeature(tf.string) for name in names},
        "label": tf.io.FixedLenFeature((), tf.int64),
        "video": tf.io.FixedLenFeature((), tf.string),
        "group": tf.io.FixedLenFeature((), tf.string),
    }
    parsed = tf.io.parse_single_example(record, features)
    return {**parsed, "num_frames": tf.size(parsed["frames"])}


def _features(data: FeatureVideos, split: Split) -> tf.data.Dataset:
    """The features of the frames of each video, by stream."""
    spans = data.of_split(split)
    streams = [*data.files]
    arrays = [file.open() for file in data.files.values()]

    def take(start: int, num_frames: int) -> list[np.ndarray]:
        return [array[start : start + num_frames] for array in arrays]

    def read(video: dict[str, tf.Tensor]) -> dict[str, Any]:
        found = tf.numpy_function(
            take, (video.pop("start"), video["num_frames"]), [tf.float32] * len(arrays)
        )
        shaped = [
            tf.ensure_shape(features, (None, *array.shape[1:]))
            for features, array in zip(found, arrays, strict=True)
        ]
        return {**video, "features": dict(zip(streams, shaped, strict=True))}

    columns = {
        "video": [span.video for span in spans],
        "group": [span.group for span in spans],
        "label": np.array([span.label for span in spans], np.int64),
        "start": [span.start for span in spans],
        "num_frames": np.array([span.num_frames for span in spans], np.int32),
    }
    return tf.data.Dataset.from_tensor_slices(columns).map(read)
