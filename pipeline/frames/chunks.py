"""Files of chunks: stored frames as records of a TFRecord file, and an index of where each lies.

A chunk is a tf.train.Example, written without TensorFlow, which worker processes are spared.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import json
import os
import struct
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from pipeline.atomic import atomic_write
from pipeline.config import FramesConfig
from pipeline.errors import DataError
from pipeline.streams import IMAGES
from pipeline.text import command

CHUNK_FRAMES: Final = 128
"""Frames of a chunk, on a grid that starts with the file; the last one of a file may have fewer."""

NAME: Final = "clipline"
"""What the names of the files begin with: the name of the data set for TensorFlow Datasets."""

Images = Mapping[str, Sequence[bytes]]
"""What is stored of frames in a row, by the names in `pipeline.streams.IMAGES`."""

INDICES: Final = f"{NAME}-*.index"
"""Pattern of the indices of all videos."""

_CLOSE: Final = 128 * 1024
"""Bytes that a disk reads in less time than it takes to find others."""

_ENTRY: Final = np.dtype([("start", "<u8"), ("length", "<u4"), ("crc", "<u4")])


class Segment(NamedTuple):
    """A file of chunks of one video, all that were decoded in one pass.

    Attributes:
        first: Number of the first chunk in it, from 0.
        num_bytes: Of the file.
        chunks: Number of each chunk and of its frames, in order.
    """

    first: int
    num_bytes: int
    chunks: tuple[tuple[int, int], ...]


class ChunkIndex(NamedTuple):
    """What is stored of the frames of one video, and where.

    Attributes:
        key: What the frames depend on, see `pipeline.frames.store.frames_key`.
        images: Names of what is stored of each frame.
        segments: The files.
        known: What was found out about the video, as JSON types.
        entries: Place of each image in its file, `_ENTRY` (frames, images), segment by segment.
    """

    key: str
    images: tuple[str, ...]
    segments: tuple[Segment, ...]
    known: dict[str, Any]
    entries: npt.NDArray[Any]

    @property
    def chunks(self) -> dict[int, int]:
        """The chunks that are there, and of each how many frames it has."""
        return dict(itertools.chain.from_iterable(each.chunks for each in self.segments))


def index_file(folder: Path, key: str) -> Path:
    """The index of a video."""
    return folder / f"{NAME}-{key}.index"


def segment_file(folder: Path, key: str, first: int) -> Path:
    """A file of chunks: for TensorFlow Datasets, the only one of a split."""
    return folder / f"{NAME}-{split_name(key, first)}.tfrecord-00000-of-00001"


def split_name(key: str, first: int) -> str:
    """What TensorFlow Datasets calls the chunks of a file."""
    return f"{key}_{first:06d}"


def read_index(folder: Path, key: str) -> ChunkIndex | None:
    """The index of a video; None: there is none, or it is damaged."""
    try:
        head, _, body = index_file(folder, key).read_bytes().partition(b"\n")
        content = json.loads(head)
        images = tuple(content["images"])
        segments = tuple(
            Segment(first, size, tuple(map(tuple, chunks)))
            for first, size, chunks in content["segments"]
        )
        entries = np.frombuffer(body, _ENTRY).reshape(-1, len(images))
        known = content["known"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_whole = google_crc32c.value(body) == content.get("crc")
    return ChunkIndex(key, images, segments, known, entries) if is_whole else None


def write_index(folder: Path, index: ChunkIndex) -> None:
    """Writes an index in place of the one that is there.

    Raises:
        OSError: It cannot be written.
    """
    body = index.entries.tobytes()
    head = {
        "images": index.images,
        "segments": index.segments,
        "known": index.known,
        "crc": google_crc32c.value(body),
    }
    with atomic_write(index_file(folder, index.key)) as file:
        file.write(json.dumps(head).encode() + b"\n" + body)


def add_segment(
    folder: Path,
    index: ChunkIndex,
    chunks: Iterator[tuple[int, Images]],
    others: Mapping[str, str | float],
) -> ChunkIndex:
    """Writes chunks to a file of their own; the index says nothing of it until it is written, too.

    Args:
        folder: Of the files.
        index: Of what is there.
        chunks: Number and content of each, in order; each is asked for once the one before is
            written.
        others: Further features of each record.

    Returns:
        The index with these chunks.

    Raises:
        OSError: They cannot be written.
    """
    begun = next(chunks, None)
    if begun is None:
        return index
    first, written, entries = begun[0], list[tuple[int, int]](), [index.entries]
    with atomic_write(segment_file(folder, index.key, first)) as file:
        for number, images in itertools.chain([begun], chunks):
            features = {**others, "first_frame": number * CHUNK_FRAMES}
            entries.append(_write_record(file, images, features))
            written.append((number, len(entries[-1])))
        num_bytes = file.tell()
    segment = Segment(first, num_bytes, tuple(written))
    return index._replace(
        segments=(*index.segments, segment), entries=np.concatenate(entries, dtype=_ENTRY)
    )


def no_chunks(key: str, images: Sequence[str]) -> ChunkIndex:
    """The index of a video of which nothing is stored."""
    return ChunkIndex(key, tuple(images), (), {}, np.zeros((0, len(images)), _ENTRY))


def _write_record(
    file: BinaryIO, images: Images, others: Mapping[str, str | float]
) -> npt.NDArray[Any]:
    """Appends a record to a TFRecord file; returns the places of its images.

    Source: the encoding of protocol buffers, tensorflow/core/example/feature.proto, and the format
    of TFRecord files: length, its checksum, record, its checksum.
    """
    rest = b"".join(_field(1, _feature(*item)) for item in sorted(others.items()))
    lists = {
        name: [_head(1, len(image)) + image for image in each] for name, each in images.items()
    }
    heads = {name: _list_head(name, sum(map(len, each))) for name, each in lists.items()}
    size = sum(len(heads[name]) + sum(map(len, each)) for name, each in lists.items())
    start = _head(1, len(rest) + size) + rest
    record = b"".join([start, *itertools.chain(*((heads[n], *each) for n, each in lists.items()))])
    place = file.tell() + 12 + len(start)
    length = struct.pack("<Q", len(record))
    file.write(length + _masked_crc(length) + record + _masked_crc(record))
    entries = np.zeros((len(next(iter(images.values()))), len(images)), _ENTRY)
    for column, (name, each) in enumerate(images.items()):
        place += len(heads[name])
        ends = place + np.cumsum([len(item) for item in lists[name]])
        sizes = [len(image) for image in each]
        entries["start"][:, column] = ends - sizes
        entries["length"][:, column] = sizes
        entries["crc"][:, column] = [google_crc32c.value(image) for image in each]
        place = int(ends[-1])
    return entries


def _feature(name: str, value: str | float) -> bytes:
    """A text, a float32 or an int64 as an entry of the features."""
    if isinstance(value, str):
        kind, content = 1, _field(1, value.encode())
    elif isinstance(value, int):
        kind, content = 3, _field(1, _varint(value))
    else:
        kind, content = 2, _field(1, struct.pack("<f", value))
    return _field(1, name.encode()) + _field(2, _field(kind, content))


def _list_head(name: str, num_bytes: int) -> bytes:
    """What comes before a list of byte strings: the entry, its name, and the heads of the list."""
    key, head = _field(1, name.encode()), b""
    for number, before in ((1, b""), (2, key), (1, b"")):
        head = before + _head(number, num_bytes + len(head)) + head
    return head


def _field(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, num_bytes: int) -> bytes:
    """What comes before a field of so many bytes: its number and its length."""
    return bytes([number << 3 | 2]) + _varint(num_bytes)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _masked_crc(data: bytes) -> bytes:
    """A CRC-32C, turned and shifted so that a checksum of checksums stays a good one."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


class StoredVideo:
    """The stored frames of one video, of which any are read by themselves, by several threads.

    Args:
        folder: Of the files.
        key: See `ChunkIndex`.

    Raises:
        DataError: They are not there.
    """

    def __init__(self, folder: Path, key: str) -> None:
        index = read_index(folder, key)
        if index is None:
            raise DataError(
                f"{index_file(folder, key)}: missing or damaged. Run the same "
                f"{command('prepare')} command again: it decodes what is missing."
            )
        self._columns = {name: column for column, name in enumerate(index.images)}
        self._entries = index.entries
        self._places: dict[int, tuple[_File, int]] = {}  # by chunk its file and its first entry
        row = 0
        for segment in index.segments:
            file = _File.of(segment_file(folder, key, segment.first))
            for number, frames in segment.chunks:
                self._places[number] = file, row
                row += frames

    def read(self, frames: Iterable[int], names: Sequence[str]) -> list[list[bytes]]:
        """Reads frames, and no others.

        Args:
            frames: Their numbers, from the first frame of the file; in any order, repeated or not.
            names: What of each.

        Returns:
            For each name what is stored of each frame.

        Raises:
            DataError: They are not there, or damaged.
        """
        wanted = list(frames)
        places = {number: self._places[number // CHUNK_FRAMES] for number in wanted}
        rows = [first + number % CHUNK_FRAMES for number, (_, first) in places.items()]
        found = []
        for name in names:
            entries = self._entries[rows, self._columns[name]].tolist()
            _announce(
                [(file, *entry) for (file, _), entry in zip(places.values(), entries, strict=True)]
            )
            images = {
                number: _image(file, *entry)
                for (number, (file, _)), entry in zip(places.items(), entries, strict=True)
            }
            found.append([images[number] for number in wanted])
        return found


def _announce(entries: Iterable[tuple[_File, int, int, int]]) -> None:
    """Has the system read what is wanted at once, what lies close together in one go.

    A disk that answers each read after a millisecond would else be waited for at every frame.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    ranges: list[tuple[_File, int, int]] = []
    for file, start, length, _ in sorted(entries):
        if ranges and ranges[-1][0] == file and start - ranges[-1][2] <= _CLOSE:
            ranges[-1] = (file, ranges[-1][1], start + length)
        else:
            ranges.append((file, start, start + length))
    for file, start, end in ranges:
        with contextlib.suppress(OSError):
            _opened(file).announce(start, end - start)


def _image(file: _File, start: int, num_bytes: int, crc: int) -> bytes:
    """What is stored of a frame, once its checksum is that of the index."""
    try:
        image = _opened(file).read(start, num_bytes)
    except FileNotFoundError:
        raise DataError(
            f"{file.path}: not there any more. Put the data set back, and run the same command "
            "again"
        ) from None
    except OSError as error:
        if error.errno == errno.ESTALE:  # removed by another machine
            _opened.cache_clear()
        raise DataError(f"{file.path}: {error.strerror}") from None
    if google_crc32c.value(image) != crc:
        raise DataError(
            f"{file.path}: damaged. Delete this, and run the same {command('prepare')} command "
            "again: it decodes what is missing."
        )
    return image


class _File(NamedTuple):
    """A file, and what tells it from one of the same name that was there before."""

    path: Path
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> _File:
        with contextlib.suppress(OSError):
            status = path.stat()
            return cls(path, status.st_ino, status.st_mtime_ns)
        return cls(path, 0, 0)


class _Opened:
    """A file of chunks, which nothing is ever written into: where it is removed, it can be read."""

    def __init__(self, file: _File) -> None:
        self._file = file.path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)

    def read(self, start: int, num_bytes: int) -> bytes:
        """Some bytes of it; threads may read at once."""
        if sys.platform == "win32":
            with _TURN:
                self._file.seek(start)
                return self._file.read(num_bytes)
        return os.pread(self._file.fileno(), num_bytes, start)

    def announce(self, start: int, num_bytes: int) -> None:
        """Tells the system that these bytes are read next."""
        os.posix_fadvise(self._file.fileno(), start, num_bytes, os.POSIX_FADV_WILLNEED)


_TURN = threading.Lock()
_opened = functools.lru_cache(maxsize=128)(_Opened)


def chunk_features(frames: FramesConfig) -> Any:
    """What a record holds, for TensorFlow Datasets: a `tfds.features.FeaturesDict`.

    Args:
        frames: Size of a frame, and what is stored beside them.
    """
    import tensorflow_datasets as tfds  # takes a while, which worker processes are spared

    images = {name: IMAGES[name].feature(frames) for name in frames.images}
    return tfds.features.FeaturesDict(
        {
            **{name: tfds.features.Sequence(image) for name, image in images.items()},
            "video": tfds.features.Text(doc="As in the column `frames` of manifest.csv."),
            "file": tfds.features.Text(doc="Name of the video file that was decoded."),
            "fps": tfds.features.Scalar(np.float32, doc="Frame rate of the video file."),
            "first_frame": tfds.features.Scalar(
                np.int64, doc="Number of the first of these frames in the video, from 0."
            ),
        }
    )
