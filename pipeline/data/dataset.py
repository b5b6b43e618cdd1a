"""From a prepared data set to batches of clips: only the frames of a clip are ever decoded."""

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
from pipeline.data import sampling
from pipeline.data.augment.draw import PIXEL_TYPES, Pixels, draw
from pipeline.data.augment.pixels import change_clip
from pipeline.data.frames import image_names
from pipeline.data.images import decode_images
from pipeline.data.manifest import Split
from pipeline.data.resplit import with_splits
from pipeline.data.sampling import Order
from pipeline.data.shards.record import is_whole
from pipeline.data.store import Store, open_store
from pipeline.data.video_files import VideoFiles, encode_part, open_videos
from pipeline.errors import DataError
from pipeline.text import listed

SHUFFLE_VIDEOS = 1024
IN_MEMORY_VIDEOS = 2000
"""Videos that are kept in memory, as JPEG, when they come straight from their files."""


Data = Store | VideoFiles


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


def training_batches(store: Data, config: RunConfig, *, first_step: int = 0) -> tf.data.Dataset:
    """Endless batches of randomly cut and augmented training clips.

    Every epoch shows each training video once, in a new order; batches run on across the border
    of two epochs, so that all have the same size. The clip that is cut of a video depends on the
    seed, the epoch and the video alone.

    Args:
        store: The videos.
        config: The run; its seed, clip, augment and train.batch_size count here.
        first_step: How many batches are left out at the beginning, for a training that goes on;
            none of their frames is decoded.

    Returns:
        Batches `{"frames": uint8 (B, T, H, W, 3), "mask": bool (B, T)}, label int64 (B,)`; `flow`,
        of the same shape, comes beside the frames or in place of them where the model takes it.
    """
    num_videos = store.num_videos["train"]
    batch_size = min(config.train.batch_size, num_videos)
    clips = (
        _videos(store, "train", config)
        .shuffle(min(num_videos, SHUFFLE_VIDEOS), seed=config.seed, reshuffle_each_iteration=True)
        .repeat()
        .enumerate()
        .skip(first_step * batch_size)
        .map(_RandomClip(config, store), num_parallel_calls=tf.data.AUTOTUNE)
    )
    batches = clips.batch(batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def augmented_clips(store: Data, config: RunConfig, *, epoch: int) -> tf.data.Dataset:
    """Each training video once, in a fixed order, as training sees it in one epoch.

    Args:
        store: The videos.
        config: The run; its seed, clip and augment count here.
        epoch: Number of the epoch, from 0.

    Returns:
        Pairs `({"frames": uint8 (T, H, W, 3), "mask": bool (T,)}, label int64 ())`.
    """
    clip = _RandomClip(config, store)
    position = tf.constant(epoch * store.num_videos["train"], tf.int64)
    return _videos(store, "train", config).map(lambda index, video: clip(position, (index, video)))


def evaluation_clips(
    store: Data,
    config: RunConfig,
    split: Split,
    *,
    view: int | None = None,
    order: Order = "in_order",
) -> tf.data.Dataset:
    """Each video of a split once, in a fixed order, as the clip that is always cut of it.

    Args:
        store: The videos.
        config: The run; its seed, clip and train.batch_size count here.
        split: Which videos.
        view: Which of the `clip.views` clips of each video; None: the middle one.
        order: Order of the frames within the clip.

    Returns:
        Batches `(inputs, label, source)`, inputs and label as those of `training_batches`, source
        `{"video": string (B,), "group": string (B,)}`; the last batch holds what is left.
    """
    clips = _videos(store, split, config).map(
        _FixedClip(config, store, view, order), num_parallel_calls=tf.data.AUTOTUNE
    )
    return clips.batch(config.train.batch_size).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(store: Data, config: RunConfig, split: Split) -> tf.data.Dataset:
    """What `evaluation_clips` gives, as the pairs `(inputs, label)` that Keras takes."""
    return evaluation_clips(store, config, split).map(lambda inputs, label, _: (inputs, label))


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


def _videos(store: Data, split: Split, config: RunConfig) -> tf.data.Dataset:
    """Pairs of (index within the split, video with its images as JPEG strings (N,))."""
    frames = dataclasses.replace(store.frames, flow="flow" in config.model.images)
    if isinstance(store, Store):
        videos = _records(store, split, frames)
    else:
        videos = _files(store, split, frames)
    counted = videos.apply(tf.data.experimental.assert_cardinality(store.num_videos[split]))
    return counted.enumerate()


def _records(store: Store, split: Split, frames: FramesConfig) -> tf.data.Dataset:
    """The videos of a prepared data set.

    The records are parsed here: TensorFlow Datasets would map over the frames one by one, even to
    leave them as they are, which costs more than reading them.
    """
    infos = store.builder.info.splits
    names = list(infos) if store.is_resplit else [split]
    files = [str(path) for name in names for path in infos[name].filepaths]
    parse = functools.partial(_parse, names=image_names(frames))
    videos = tf.data.TFRecordDataset(files).map(parse)
    return videos.filter(_IsOf(store.groups(split))) if store.is_resplit else videos


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
        return {**dict(zip(names, shaped, strict=True)), **video}

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
    parsed: dict[str, tf.Tensor] = tf.io.parse_single_example(record, features)
    return parsed


class _RandomClip:
    """(position in the endless stream, (index, video)) -> augmented clip."""

    def __init__(self, config: RunConfig, store: Data) -> None:
        self._config, self._size = config, store.frames.size
        self._num_videos = store.num_videos["train"]
        self._mirrored = _partners(config.augment.flip_labels, store)
        self._reversed = _partners(config.augment.reverse_labels, store)

    def __call__(self, position: tf.Tensor, indexed_video: tuple[tf.Tensor, Any]) -> Any:
        index, video = indexed_video
        label, backwards, indices, mask, *pixels = tf.numpy_function(
            self._choose,
            (tf.size(video["frames"]), position, index, video["label"]),
            (tf.int64, tf.bool, tf.int64, tf.bool, *PIXEL_TYPES),
        )
        inputs, _ = _clip(video, indices, mask, self._config, self._size)
        inputs = change_clip(inputs, Pixels(*pixels), self._config.augment, backwards)
        return inputs, tf.ensure_shape(label, ())

    def _choose(self, num_frames: int, position: int, index: int, label: int) -> tuple[Any, ...]:
        config, epoch = self._config, position // self._num_videos
        rng = np.random.default_rng((config.seed, epoch, index))
        drawn = draw(config.augment, self._size, rng)
        if drawn.mirrored:
            label = self._mirrored.get(label, label)
        backwards = drawn.reverse and label in self._reversed
        if backwards:
            label = self._reversed[label]
        indices, mask = sampling.sample_clip(
            int(num_frames),
            config.clip,
            rng=rng,
            speed=drawn.speed,
            drop=drawn.drop_frames,
            backwards=backwards,
        )
        return np.int64(label), np.bool_(backwards), indices, mask, *drawn.pixels


def _partners(pairs: tuple[tuple[str, str], ...], store: Data) -> dict[int, int]:
    """The label that becomes of each label in a pair."""
    numbers = [tuple(map(store.class_names.index, pair)) for pair in pairs]
    return {label: other for a, b in numbers for label, other in ((a, b), (b, a))}


class _FixedClip:
    """(index, video) -> the clip that evaluation cuts of it, and where it comes from."""

    def __init__(self, config: RunConfig, store: Data, view: int | None, order: Order) -> None:
        self._config, self._size = config, store.frames.size
        self._view, self._order = view, order

    def __call__(self, index: tf.Tensor, video: dict[str, tf.Tensor]) -> Any:
        def choose(num_frames: int, index: int) -> tuple[Any, ...]:
            config = self._config
            indices, mask = sampling.sample_clip(int(num_frames), config.clip, view=self._view)
            rng = np.random.default_rng((config.seed, index))
            return sampling.reorder(indices, mask, self._order, rng)

        indices, mask = tf.numpy_function(
            choose, (tf.size(video["frames"]), index), (tf.int64, tf.bool)
        )
        inputs, label = _clip(video, indices, mask, self._config, self._size)
        return inputs, label, {"video": video["video"], "group": video["group"]}


def _clip(
    video: dict[str, tf.Tensor], indices: tf.Tensor, mask: tf.Tensor, config: RunConfig, size: int
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Decodes what the model takes of the chosen frames."""
    length = (config.clip.num_frames,)
    indices = tf.ensure_shape(indices, length)
    images = {name: decode_images(name, video[name], indices, size) for name in config.model.images}
    return {**images, "mask": tf.ensure_shape(mask, length)}, video["label"]
