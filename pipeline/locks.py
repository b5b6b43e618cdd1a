"""Locks between processes: what one of them writes, no other writes meanwhile."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.atomic import expect_writable
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_TRIES: Final = 5
"""How often a lock is asked for of which no file is there, before none can be made."""


class UnlockedWarning(UserWarning):
    """Something is written without a lock, because there can be none where it is."""


@contextmanager
def alone(path: Path, doing: str, instead: str = "") -> Iterator[None]:
    """Keeps all others off a file or folder, and refuses where another is at it already.

    The lock is a hidden file beside it, which is gone afterwards. The system lets go of it when a
    process ends in whatever way. One thread may take it several times over. Where there can be
    none, such as on some network folders, an `UnlockedWarning` says so.

    Args:
        path: The file or folder; it need not be there yet.
        doing: What others do with it, such as `training`.
        instead: What one can do in place of waiting, such as `name another folder (--run)`.

    Raises:
        ConfigError: Another process, or another thread, has the lock, or nothing can be written.
    """
    other = f", or {instead}" if instead else ""
    real = path.resolve()
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        expect_writable(real / "file" if real.is_dir() else real)
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror}"
        raise ConfigError(f"{reason}. Make sure that it can be{other}") from None
    with _held(path, timeout=0) as is_held:
        if not is_held:
            raise ConfigError(f"another process is {doing} {path}. Wait until it has ended{other}")
        yield


@contextmanager
def in_turn(path: Path, doing: str) -> Iterator[None]:
    """As `alone`, but waits for the other, and says so on the terminal."""
    with _held(path, timeout=0) as is_held:
        if is_held:
            yield
            return
    print(f"another process is {doing} {path}: waiting for it", flush=True)
    with _held(path, timeout=-1):
        yield


@contextmanager
def if_free(path: Path, seconds: float = 0) -> Iterator[bool]:
    """As `alone`, but gives False where another is at it, still after so many seconds."""
    with _held(path, timeout=seconds) as is_held:
        yield is_held


def is_taken(path: Path) -> bool:
    """Whether another process, or another thread, keeps others off a file or folder."""
    with if_free(path) as is_free:
        return not is_free


@contextmanager
def _held(path: Path, *, timeout: float) -> Iterator[bool]:
    """Holds the lock of a path; gives False if another has it still after so many seconds."""
    lock = None
    try:
        lock = _take(path.resolve(), timeout)
        is_held = True
    except TimeoutError:
        is_held = False
    except (ImportError, OSError, NotImplementedError) as error:
        is_held = True  # as far as one can tell
        reason = getattr(error, "strerror", None) or str(error)
        _warn(f"{path} cannot be locked: {reason}. Let no other process write it meanwhile")
    try:
        yield is_held
    finally:
        if lock:
            _let_go(lock)


@functools.cache  # The same is said once, however often one thread takes a lock.
def _warn(text: str) -> None:
    warnings.warn(text, UnlockedWarning, stacklevel=7)


def _take(path: Path, timeout: float) -> BaseFileLock:
    from filelock import FileLock  # which a machine that only classifies may lack

    path.parent.mkdir(parents=True, exist_ok=True)
    # All who may write into the folder may use a lock that was left there by a kill.
    lock = FileLock(path.parent / f".{path.name}.lock", mode=0o666, is_singleton=True)
    for number in range(_TRIES):
        try:
            lock.acquire(timeout=0 if number else timeout)
        except TimeoutError:
            if os.path.lexists(lock.lock_file):
                raise
            # Its file is gone: it was let go of just now, or none can be made.
            time.sleep(0.01)
        else:
            return lock
    raise OSError(errno.EACCES, "no file can be made there")


def _let_go(lock: BaseFileLock) -> None:
    if lock.lock_counter == 1:  # While it is still held: who waits for it sees that it is gone.
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
    lock.release()
