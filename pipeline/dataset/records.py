"""Reading the records of a prepared data set: any of them by itself, or all in their order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.config import FramesConfig
from pipeline.dataset.recordings import Stretch, cutter
from pipeline.manifest.rows import Split
from pipeline.prepare.prepared import Store
from pipeline.prepare.record_index import Record
from pipeline.streams import IMAGES

ReadVideo = Callable[[tf.Tensor], dict[str, Any]]
"""From the number of a video to what there is of it."""


def read_records(store: Store, frames: FramesConfig) -> tf.data.Dataset:
    """Reads the records of all splits of a prepared data set, in their order.

    Of each there are the images, `video`, `group`, `label`, -1 where it is not one, and
    `first_frame`.
    """
    one, recordings = store.labelling == "one", store.labelling == "frames"
    features = {
        **_image_features(frames.images),
        **({"label": tf.io.FixedLenFeature((), tf.int64)} if one else {}),
        **({"first_frame": tf.io.FixedLenFeature((), tf.int64)} if recordings else {}),
    }
    others = {"label": tf.constant(-1, tf.int64), "first_frame": tf.constant(0, tf.int64)}
    records = tf.data.Dataset.from_generator(
        lambda: itertools.chain.from_iterable(map(_stored, store.records)),
        output_signature=tf.TensorSpec((), tf.string),
    )
    return records.map(lambda record: others | tf.io.parse_single_example(record, features))


def recording_labels(store: Store, split: Split) -> list[npt.NDArray[np.uint8]]:
    """The labels of each recording of a split, uint8 (N, C), in the order of `of_split`."""
    labels = {"labels": tf.io.FixedLenFeature((), tf.string)}
    found = []
    for record in store.of_split(split):
        parts = (tf.io.parse_single_example(each, labels)["labels"] for each in _stored(record))
        content = b"".join(part.numpy() for part in parts)
        found.append(np.frombuffer(content, np.uint8).reshape(-1, len(store.class_names)))
    return found


def _stored(record: Record) -> Iterator[bytes]:
    """The record of a video, or all those of a recording."""
    return record.shard.records(record.start, max(1, len(record.pieces)))


def recording_frames(
    store: Store, record: Record, numbers: Iterable[int]
) -> list[npt.NDArray[np.uint8]]:
    """Some frames of a recording by their numbers, each uint8 (size, size, 3)."""
    cut = cutter(record)
    stretches = [cut(number, number + 1) for number in numbers]
    read = record_reader(store, stretches, ("frames",))
    decode = IMAGES["frames"].decode
    shown = (read(tf.constant(i))["frames"][0].numpy() for i in range(len(stretches)))
    return [decode(each, store.frames) for each in shown]


def record_reader(store: Store, stretches: Sequence[Stretch], names: Sequence[str]) -> ReadVideo:
    """Reads any stretch of a prepared data set by itself, see `pipeline.dataset.videos`.

    The records are parsed here: TensorFlow Datasets would map over the frames one by one, even to
    leave them as they are, which costs more than reading them.
    """
    is_recording = store.labelling == "frames"
    columns = {
        "skip": tf.constant([each.skip for each in stretches], tf.int32),
        "num_frames": tf.constant([each.num_frames or 0 for each in stretches], tf.int32),
        "first_frame": tf.constant([each.first for each in stretches], tf.int64),
    }

    def take(number: int) -> np.ndarray:
        stretch = stretches[number]
        found = stretch.record.shard.records(stretch.start, stretch.num_records)
        return np.array(list(found) if is_recording else next(found), object)

    def read(number: tf.Tensor) -> dict[str, Any]:
        found = tf.numpy_function(take, (number,), tf.string)
        if not is_recording:
            return _parse(tf.ensure_shape(found, ()), names, store)
        at = {name: column[number] for name, column in columns.items()}
        return _parse_recording(tf.ensure_shape(found, (None,)), names, store, at)

    return read


def _image_features(names: Sequence[str]) -> dict[str, Any]:
    """What each record holds: the named images, whose they are, and the group."""
    texts = {name: tf.io.FixedLenFeature((), tf.string) for name in ("video", "group")}
    return {**{name: tf.io.RaggedFeature(tf.string) for name in names}, **texts}


def _parse(record: tf.Tensor, names: Sequence[str], store: Store) -> dict[str, tf.Tensor]:
    several = store.labelling == "several"
    label = (
        {"labels": tf.io.FixedLenFeature((), tf.string)}
        if several
        else {"label": tf.io.FixedLenFeature((), tf.int64)}
    )
    parsed = tf.io.parse_single_example(record, {**_image_features(names), **label})
    if several:
        labels = tf.io.decode_raw(parsed.pop("labels"), tf.uint8)
        parsed["label"] = tf.ensure_shape(labels, (len(store.class_names),))
    return {**parsed, "num_frames": tf.size(parsed["frames"])}


def _parse_recording(
    records: tf.Tensor, names: Sequence[str], store: Store, at: dict[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """A stretch of a recording from the records, string (R,), that it lies in."""
    features = {**_image_features(names), "labels": tf.io.FixedLenFeature((), tf.string)}
    parsed = tf.io.parse_example(records, features)
    chosen = slice(at["skip"], at["skip"] + at["num_frames"])
    labels = tf.io.decode_raw(tf.strings.reduce_join(parsed["labels"]), tf.uint8)
    return {
        **{name: parsed[name].flat_values[chosen] for name in names},
        **{name: parsed[name][0] for name in ("video", "group")},
        "label": tf.reshape(labels, (-1, len(store.class_names)))[chosen],
        "num_frames": at["num_frames"],
        "first_frame": at["first_frame"],
    }
