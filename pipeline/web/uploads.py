"""Files that came over HTTP, in a folder of the server's own, under names of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final, Self

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pipeline.web.bodies import FORM, Form, base_name, chunks_of, expect_video_type, media_type

_PREFIX: Final = "clipline-uploads-"
_HOUR: Final = 3600.0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_own_folders: set[Path] = set()
"""Of this process."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that came whole.

    Attributes:
        path: Where it lies.
        name: What the client calls it, to be shown, never opened; may be empty.
        num_bytes: Its size.
    """

    path: Path
    name: str
    num_bytes: int


class Uploads:
    """A folder of files that came over HTTP; a context manager, with which the folder goes.

    The folder lies where the system keeps temporary files (the variable TMPDIR), and no one else
    can read it. Those of servers that were killed are removed. For one thread, that of the event
    loop.

    Args:
        most_bytes: How many a file may have.
        quota: Bytes of all files together, those that are coming included.
        most_age_seconds: After so long, a file goes, though it was not removed.
        on_bytes: Called with the number of bytes whenever some came.

    Attributes:
        folder: Where the files lie.
    """

    folder: Path

    def __init__(
        self,
        *,
        most_bytes: int,
        quota: int,
        most_age_seconds: float = _HOUR,
        on_bytes: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.most_bytes, self._quota = most_bytes, quota
        self._most_age_seconds, self._on_bytes = most_age_seconds, on_bytes
        self._kept: dict[Path, tuple[float, int]] = {}
        self._num_bytes = 0

    def __enter__(self) -> Self:
        _remove_stale(Path(tempfile.gettempdir()))
        # With the number of the process, by which others see whether it still runs; mode 0700.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        _own_folders.add(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        _own_folders.discard(self.folder)

    @contextlib.asynccontextmanager
    async def received(self, request: Request, *, until: float) -> AsyncIterator[Upload]:
        """The file in the body of a request, see `receive`, until this ends."""
        upload = await self.receive(request, until=until)
        try:
            yield upload
        finally:
            self.remove(upload)

    async def receive(self, request: Request, *, until: float) -> Upload:
        """Writes the body of a request, or the one file in its form, into the folder.

        Args:
            request: The request. The name of a body that is no form is the `name` of its query.
            until: When it must be there, by the clock of the event loop.

        Raises:
            HTTPException: 400, a form that is none; 408, it comes too slowly; 413, it is too
                large; 415, it is no video by its type; 503, the folder is full; 507, the disk is.
            ClientDisconnect: The client is gone. Nothing is left of it, as after any error.
        """
        self.remove_old()
        header = request.headers.get("content-type", "")
        is_form = media_type(header) == FORM
        if not is_form:
            expect_video_type(media_type(header))
        path = self.folder / secrets.token_hex(16)
        try:
            with self._opened(path) as file:
                name = await self._write(request, file, header if is_form else "", until)
                num_bytes = file.tell()
        except BaseException as error:
            self._forget(path)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise HTTPException(
                    507, "the disk of the server is full; try again later"
                ) from None
            raise
        return Upload(path=path, name=name, num_bytes=num_bytes)

    def _opened(self, path: Path) -> BinaryIO:
        try:
            return path.open("xb")
        except FileNotFoundError:  # Systems remove temporary folders that were not used for days.
            self.folder.mkdir(mode=0o700)
            return path.open("xb")

    def remove(self, upload: Upload) -> None:
        """Removes a file, if it is still there."""
        self._forget(upload.path)

    def remove_old(self) -> None:
        """Removes files that are older than they may be."""
        oldest = time.monotonic() - self._most_age_seconds
        for path in [path for path, (since, _) in self._kept.items() if since < oldest]:
            self._forget(path)

    async def _write(self, request: Request, file: BinaryIO, form_type: str, until: float) -> str:
        """Writes what comes; returns what the client calls it."""
        path = Path(file.name)
        form = Form(form_type, file.write) if form_type else None
        async for chunk in chunks_of(request, most_bytes=self.most_bytes, until=until):
            self._count(path, len(chunk))
            if form:
                form.feed(chunk)
            else:
                file.write(chunk)
        if form:
            form.finish()
            return form.name
        return base_name(request.query_params.get("name", ""))

    def _count(self, path: Path, num_bytes: int) -> None:
        if self._num_bytes + num_bytes > self._quota:
            reason = "the server holds as many videos as it can; try again"
            raise HTTPException(503, reason, {"Retry-After": "5"})
        self._num_bytes += num_bytes
        self._kept[path] = time.monotonic(), self._kept.get(path, (0.0, 0))[1] + num_bytes
        self._on_bytes(num_bytes)

    def _forget(self, path: Path) -> None:
        self._num_bytes -= self._kept.pop(path, (0.0, 0))[1]
        path.unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    """Removes what servers of this user left behind that do not run any more."""
    if not hasattr(os, "getuid"):  # Windows, where asking whether a process runs would end it
        return
    for path in folder.glob(f"{_PREFIX}*"):
        number = path.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            status = path.lstat()
            is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            # In a container, a process that was killed may have had the number of this one.
            is_stale = number == str(os.getpid()) or not _runs(number)
            if is_own and is_stale and path not in _own_folders:
                shutil.rmtree(path, ignore_errors=True)


def _runs(number: str) -> bool:
    if not number.isdecimal():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def deadline(seconds: float) -> float:
    """In so many seconds from now, by the clock of the event loop."""
    return asyncio.get_running_loop().time() + seconds
