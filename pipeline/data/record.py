"""One video as a record: a tf.train.Example in a TFRecord file, written without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np
import tensorflow_datasets as tfds

# Importing TensorFlow, for the same two messages, takes seconds in each worker process.
from tensorflow_datasets.proto.tf_example_generated_pb2 import Example
from tensorflow_datasets.proto.tf_feature_generated_pb2 import (
    BytesList,
    Feature,
    Features,
    FloatList,
    Int64List,
)

from pipeline.video import VideoInfo

MAX_BYTES = 2**31 - 2**20
"""Frames of one record in bytes, at most: a protobuf message ends at 2 GiB."""


def record_features(class_names: Sequence[str], size: int) -> tfds.features.FeaturesDict:
    """Returns what a record holds, for TensorFlow Datasets.

    Args:
        class_names: The index of a name is its label number.
        size: Height and width of a frame in pixels.
    """
    image = tfds.features.Image(shape=(size, size, 3), encoding_format="jpeg")
    return tfds.features.FeaturesDict(
        {
            "frames": tfds.features.Sequence(image),
            "label": tfds.features.ClassLabel(names=class_names),
            "video": tfds.features.Text(doc="Path from the folder of all videos on."),
            "group": tfds.features.Text(doc="What never crosses splits."),
            "num_frames": tfds.features.Scalar(np.int64, doc="Frames of the video file."),
            "fps": tfds.features.Scalar(np.float32, doc="Frame rate of the video file."),
            "duration_seconds": tfds.features.Scalar(np.float32, doc="Of the video file."),
        }
    )


def encode_record(
    *, images: Sequence[bytes], label: int, video: str, group: str, info: VideoInfo
) -> bytes:
    """Returns a record; the same arguments always give the same bytes.

    Args:
        images: The frames, each as the bytes of a JPEG file.
        label: Label number.
        video: Path from the folder of all videos on.
        group: The group of the video.
        info: What is known of the video file.
    """
    features = {
        "frames": Feature(bytes_list=BytesList(value=images)),
        "label": Feature(int64_list=Int64List(value=[label])),
        "video": Feature(bytes_list=BytesList(value=[video.encode()])),
        "group": Feature(bytes_list=BytesList(value=[group.encode()])),
        "num_frames": Feature(int64_list=Int64List(value=[info.num_frames])),
        "fps": Feature(float_list=FloatList(value=[info.fps])),
        "duration_seconds": Feature(float_list=FloatList(value=[info.duration_seconds])),
    }
    example = Example(features=Features(feature=features))
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def write_record(file: BinaryIO, record: bytes) -> None:
    """Appends a record: its length, the length's checksum, the record, the record's checksum."""
    length = struct.pack("<Q", len(record))
    file.write(length + _masked_crc(length))
    file.write(record)
    file.write(_masked_crc(record))


def is_whole(path: Path) -> bool:
    """Whether a file is records, one after another, all of which fit their checksums."""
    with path.open("rb") as file:
        while head := file.read(12):
            if len(head) < 12 or head[8:] != _masked_crc(head[:8]):
                return False
            (num_bytes,) = struct.unpack("<Q", head[:8])
            record = file.read(num_bytes)
            if len(record) < num_bytes or file.read(4) != _masked_crc(record):
                return False
    return True


def _masked_crc(data: bytes) -> bytes:
    """The CRC-32C, turned and shifted so that a checksum of checksums stays a good one."""
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
