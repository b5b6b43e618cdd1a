"""One video as a record: a tf.train.Example in a TFRecord file, written without TensorFlow."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import google_crc32c
import numpy as np

from pipeline.config import FramesConfig
from pipeline.manifest.annotation import UNKNOWN_LABEL
from pipeline.manifest.rows import Labelling
from pipeline.prepare.stored_frames import FrameSpool
from pipeline.streams import IMAGES

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

MAX_BYTES = 2**31 - 2**20
"""Images of one record in bytes, at most: a protobuf message ends at 2 GiB."""


def record_features(
    class_names: Sequence[str], frames: FramesConfig, labelling: Labelling
) -> tfds.features.FeaturesDict:
    """Returns what a record holds, for TensorFlow Datasets.

    Args:
        class_names: The index of a name is its label number.
        frames: Size of a frame, and what is stored beside them.
        labelling: What is labelled. A video has one `label`, or `labels`, of which those of its
            classes are 1; a record of a recording has those of each frame.
    """
    import tensorflow_datasets as tfds  # takes a while, which worker processes are spared

    images = {name: IMAGES[name].feature(frames) for name in frames.images}
    return tfds.features.FeaturesDict(
        {
            **{name: tfds.features.Sequence(image) for name, image in images.items()},
            **_label_features(class_names, labelling),
            "video": tfds.features.Text(doc="Path from the folder of all videos on."),
            "group": tfds.features.Text(doc="What never crosses splits."),
            "fps": tfds.features.Scalar(np.float32, doc="Frame rate of the video file."),
            **_length_features(labelling),
        }
    )


def _length_features(labelling: Labelling) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    if labelling == "frames":
        doc = "Number of the first of these frames in the recording, from 0."
        return {"first_frame": tfds.features.Scalar(np.int64, doc=doc)}
    return {
        "num_frames": tfds.features.Scalar(np.int64, doc="Frames of the video file."),
        "duration_seconds": tfds.features.Scalar(np.float32, doc="Of the video file."),
    }


def _label_features(class_names: Sequence[str], labelling: Labelling) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    if labelling == "one":
        return {"label": tfds.features.ClassLabel(names=class_names)}
    doc = f"1: holds, 0: does not, {UNKNOWN_LABEL}: not known; of {', '.join(class_names)}."
    shape = (len(class_names),) if labelling == "several" else (None, len(class_names))
    return {"labels": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes", doc=doc)}


def write_record(
    file: BinaryIO, images: Mapping[str, FrameSpool], others: Mapping[str, float | str | bytes]
) -> int:
    """Appends a record to a TFRecord file; the same arguments always give the same bytes.

    Args:
        file: The file. A record in it is its length, the length's checksum, the record, and the
            record's checksum.
        images: The images by their names, each as the bytes of a JPEG file.
        others: The other features, see `record_features`: a float is stored as a float32, an int
            as an int64, an array as its bytes.

    Returns:
        Bytes of the record.
    """
    start, num_bytes = _start(others, images)
    length = struct.pack("<Q", num_bytes)
    file.write(length + masked_crc(length))
    checksum = 0
    for part in itertools.chain([start], *map(_entry, images, images.values())):
        file.write(part)
        checksum = google_crc32c.extend(checksum, part)
    file.write(_masked(checksum))
    return num_bytes


# The message is put together by hand: that of a long video, held in memory as a whole, takes a
# multiple of its size, and importing what makes messages takes time in each worker process.
# Source: the encoding of protocol buffers, and tensorflow/core/example/feature.proto.


def _start(
    others: Mapping[str, float | str | bytes], images: Mapping[str, FrameSpool]
) -> tuple[bytes, int]:
    """Returns the message up to its first image, and the bytes of the whole."""
    rest = b"".join(_message(1, _value(*item)) for item in sorted(others.items()))
    entries = sum(len(_key(*item)) + _num_bytes(item[1]) for item in images.items())
    start = _field(1, len(rest) + entries) + rest
    return start, len(start) + entries


def _value(name: str, value: float | str | bytes) -> bytes:
    """A text, bytes, a float32 or an int64 as an entry of the features."""
    if isinstance(value, str | bytes):
        kind, content = 1, value.encode() if isinstance(value, str) else value
    elif isinstance(value, int):
        kind, content = 3, _varint(value)
    else:
        kind, content = 2, struct.pack("<f", value)
    return _message(1, name.encode()) + _message(2, _message(kind, _message(1, content)))


def _entry(name: str, images: FrameSpool) -> Iterator[bytes]:
    """Images as an entry of the features."""
    yield _key(name, images)
    for image in images:
        yield _field(1, len(image))
        yield image


def _key(name: str, images: FrameSpool) -> bytes:
    """An entry up to its first image."""
    num_bytes, key, start = _num_bytes(images), name.encode(), b""
    # From the inside out: bytes_list of a feature, value of an entry, the entry.
    for number, before in ((1, b""), (2, _field(1, len(key)) + key), (1, b"")):
        start = before + _field(number, num_bytes + len(start)) + start
    return start


def _num_bytes(images: FrameSpool) -> int:
    """Bytes of the images with what goes before each."""
    return images.num_bytes + sum(len(_field(1, length)) for length in images.lengths)


def _message(number: int, content: bytes) -> bytes:
    """A field that holds text or a message."""
    return _field(number, len(content)) + content


def _field(number: int, num_bytes: int) -> bytes:
    """Bytes before a field that holds text or a message: its number and its length."""
    return bytes([number << 3 | 2]) + _varint(num_bytes)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def masked_crc(data: bytes) -> bytes:
    """The checksum of a record, or of its length."""
    return _masked(google_crc32c.value(data))


def _masked(crc: int) -> bytes:
    """A CRC-32C, turned and shifted so that a checksum of checksums stays a good one."""
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
