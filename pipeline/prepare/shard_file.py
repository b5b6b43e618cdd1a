"""A file of records that stays what it was when it was opened, whatever becomes of it."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import struct
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import DataError
from pipeline.prepare.record import masked_crc
from pipeline.text import command

FRAME_BYTES = 16
"""Of the length and the two checksums around a record, see `pipeline.prepare.record`."""


class Written(NamedTuple):
    """What tells a file from one that is written in its place."""

    num_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, file: Path | int) -> Written | None:
        """That of a file by its path, or of an opened one; None: it is not there."""
        try:
            status = os.stat(file)  # noqa: PTH116  # which takes an opened one as well
        except OSError:
            return None
        return cls(status.st_size, status.st_mtime_ns)


class ShardFile:
    """A shard, held open: where it is replaced or removed, its records are read as they were.

    Of more shards than the system lets a process hold, the others are opened at each read, and
    refused where they are not the same any more. Threads may read at once.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: io.FileIO | None = None
        file = path.open("rb", buffering=0)
        self._written = Written.of(file.fileno())
        if len(_HELD) < _most_held():
            self._held = file
            _HELD.add(self)
            weakref.finalize(self, file.close)
        else:
            file.close()

    def records(self, start: int, number: int = 1) -> Iterator[bytes]:
        """Yields records that follow one another.

        Args:
            start: Bytes before the first of them.
            number: How many.

        Raises:
            DataError: They are damaged, or the file cannot be read or is another one by now.
        """
        try:
            with self._opened() as file:
                for _ in range(number):
                    record = _record(file, start)
                    if record is None:
                        raise DataError(
                            f"{self.path}: damaged. Delete this, and run the same "
                            f"{command('prepare')} command again: it redoes what is missing."
                        )
                    yield record
                    start += len(record) + FRAME_BYTES
        except FileNotFoundError:
            raise DataError(
                f"{self.path}: not there any more. Put the data set back, and run the same command "
                "again"
            ) from None
        except OSError as error:
            if error.errno == errno.ESTALE:  # replaced by another machine
                raise self._replaced() from None
            raise DataError(f"{self.path}: {error.strerror}") from None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[io.FileIO]:
        if self._held:
            yield self._held
            return
        with self.path.open("rb", buffering=0) as file:
            if Written.of(file.fileno()) != self._written:
                raise self._replaced()
            yield file

    def _replaced(self) -> DataError:
        return DataError(
            f"{self.path}: replaced while it was being read, as when a data set is prepared anew. "
            "Begin again with the data set as it is now, in another folder (--run, --out)"
        )


_HELD: weakref.WeakSet[ShardFile] = weakref.WeakSet()
_TURN = threading.Lock()


@functools.cache
def _most_held() -> int:
    """Half of the files that a process may have open."""
    if sys.platform == "win32":
        return 256
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**16 if allowed == resource.RLIM_INFINITY else allowed // 2


def _record(file: io.FileIO, start: int) -> bytes | None:
    """The record that begins there; None: there is none that fits its checksums."""
    head = _read(file, start, 12)
    if head[8:] != masked_crc(head[:8]):
        return None
    (num_bytes,) = struct.unpack("<Q", head[:8])
    record = _read(file, start + len(head), num_bytes)
    is_whole = _read(file, start + len(head) + num_bytes, 4) == masked_crc(record)
    return record if is_whole else None


def _read(file: io.FileIO, start: int, num_bytes: int) -> bytes:
    if sys.platform == "win32":
        with _TURN:
            file.seek(start)
            return file.read(num_bytes)
    return os.pread(file.fileno(), num_bytes, start)
