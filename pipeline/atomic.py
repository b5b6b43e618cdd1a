"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigError


@contextlib.contextmanager
def named_in_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Gives the name of a file to an `OSError` that has none, such as that of a full disk.

    Args:
        path: The file.
        temporary: The name that it has until it is complete, which no error is to show.
    """
    try:
        yield
    except OSError as error:
        if temporary and error.filename == str(temporary):
            raise OSError(error.errno, error.strerror, str(path)) from None
        error.filename = error.filename or str(path)
        raise


def expect_writable(path: Path) -> None:
    """Makes sure, before work begins, that a file can be made at a path; none is left there.

    Raises:
        OSError: It cannot; the error names the path.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        error.filename = str(path)
        raise


def expect_output(file: Path, name: str) -> None:
    """Raises a `ConfigError`, before work begins, if a file cannot be written."""
    if not file.parent.is_dir():
        raise ConfigError(f"{name}: the folder {file.parent} does not exist; create it first")
    try:
        expect_writable(file)
    except OSError as error:
        raise ConfigError(
            f"{name}: {file} cannot be written: {error.strerror}. Make sure that the folder can be "
            "written, or name a file in another one"
        ) from None


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to write bytes; it takes its name only once it is complete and on disk.

    Of several that write it at once, each writes a whole file; that of the last one stays. One
    that is killed meanwhile leaves `NAME.….tmp` behind, see `remove_unfinished`.

    Raises:
        OSError: The file cannot be written; what was there before is still there.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with named_in_errors(path, temporary):
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Writes a value of JSON types as by `atomic_write`."""
    with atomic_write(path) as file:
        file.write(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode())


def replace_folder(path: Path, new: Path) -> None:
    """Puts a folder that is complete in the place of another one on the same disk.

    A kill leaves one of both there, or in rare cases none.
    """
    old = path.with_name(f".old-{path.name}")
    shutil.rmtree(old, ignore_errors=True)  # which a kill left
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def remove_unfinished(path: Path) -> None:
    """Removes what is left of a file by kills; no other process may be writing it now."""
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)
