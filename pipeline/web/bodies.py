"""The bodies of requests as they come: counted, timed, and taken out of a form."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

SECONDS_FOR_MORE: Final = 20.0
"""Without a further byte for so long, a body is given up."""

_PART: Final = 2**16
_GZIP: Final = 16 + zlib.MAX_WBITS

FORM: Final = "multipart/form-data"
_VIDEO_TYPES: Final = frozenset(
    (
        "",
        "application/octet-stream",
        # What curl says where it is told nothing.
        "application/x-www-form-urlencoded",
        "application/mp4",
        "application/mxf",
        "application/ogg",
        "application/vnd.rn-realmedia",
        "application/x-matroska",
        "image/gif",
    )
)


async def chunks_of(request: Request, *, most_bytes: int, until: float) -> AsyncIterator[bytes]:
    """Yields the body of a request as it comes, unpacked where it is packed by gzip.

    Args:
        request: The request.
        most_bytes: How many it may have, unpacked.
        until: When it must be there, by the clock of the event loop.

    Raises:
        HTTPException: 413, it is too large, which its header may tell before it comes; 408, it
            comes too slowly; 415, it is packed in another way; 400, it is no whole gzip.
        ClientDisconnect: The client is gone.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most_bytes:
        raise _too_large(most_bytes)
    num_bytes, stream, gzip = 0, request.stream(), _gzip_of(request)
    while chunk := await _within(anext(stream, b""), until):
        for part in _unpacked(chunk, gzip) if gzip else (chunk,):
            num_bytes += len(part)
            if num_bytes > most_bytes:
                raise _too_large(most_bytes)
            yield part
    if gzip and not gzip.eof:
        raise HTTPException(400, "the body ends before its gzip does")


def _gzip_of(request: Request) -> zlib._Decompress | None:
    """What unpacks a body; None: it comes as it is."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise HTTPException(415, f"expected a body as it is, or in gzip, got one in {encoding}")
    return None if encoding == "identity" else zlib.decompressobj(_GZIP)


def _unpacked(chunk: bytes, gzip: zlib._Decompress) -> Iterator[bytes]:
    """What is in a chunk, in parts that are small whatever it is."""
    part = b""
    while chunk or len(part) == _PART:
        try:
            part = gzip.decompress(chunk, _PART)
        except zlib.error:
            raise HTTPException(400, "the body is no gzip, as Content-Encoding says") from None
        if gzip.unused_data:
            raise HTTPException(400, "the body goes on after the end of its gzip")
        chunk = gzip.unconsumed_tail
        yield part


async def _within(chunk: Awaitable[bytes], until: float) -> bytes:
    last = min(until, asyncio.get_running_loop().time() + SECONDS_FOR_MORE)
    try:
        async with asyncio.timeout_at(last):
            return await chunk
    except TimeoutError:
        raise HTTPException(
            408, "the body came too slowly; send it again, or a smaller one"
        ) from None


def _too_large(most_bytes: int) -> HTTPException:
    return HTTPException(
        413, f"the body has more than {most_bytes:,} bytes; cut the video, or make it smaller"
    )


def media_type(header: str) -> str:
    """The media type in a `Content-Type` header, without its parameters.

    Example:
        >>> media_type("Video/MP4; codecs=avc1")
        'video/mp4'
    """
    return header.partition(";")[0].strip().lower()


def expect_video_type(kind: str) -> None:
    """Makes sure that a media type may be that of a video.

    Raises:
        HTTPException: 415, it is not.
    """
    if kind not in _VIDEO_TYPES and not kind.startswith("video/"):
        raise HTTPException(
            415, f"expected a video (video/mp4, application/octet-stream, ...), got {kind}"
        )


class Form:
    """The one file in a form, `multipart/form-data`, as the form comes.

    Args:
        header: Its `Content-Type`.
        write: Called with the bytes of the file.

    Attributes:
        name: What the client calls the file; no path.

    Raises:
        HTTPException: 400, it is no such form.
    """

    def __init__(self, header: str, write: Callable[[bytes], object]) -> None:
        boundary = parse_options_header(header)[1].get(b"boundary", b"")
        if not boundary:
            raise _no_form("it has no boundary")
        self.name = ""
        self._write = write
        self._header = b""
        self._headers: dict[bytes, bytes] = {}
        self._value = b""
        self._num_files, self._in_file, self._ended = 0, False, False
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the form.

        Raises:
            HTTPException: 400, it is no form, or has several files; 415, its file is no video.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _no_form(str(error)) from None

    def finish(self) -> None:
        """Makes sure that it came whole.

        Raises:
            HTTPException: 400, it did not, or holds no file.
        """
        if not self._ended:
            raise _no_form("it is cut off")
        if not self._num_files:
            raise _no_form("no file is in it: curl -F video=@NEW.mp4")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        about = parse_options_header(self._headers.get(b"content-disposition"))[1]
        self._in_file = b"filename" in about
        if self._in_file:
            self._num_files += 1
            if self._num_files > 1:
                raise _no_form("it has several files; send one at a time")
            expect_video_type(media_type(self._headers.get(b"content-type", b"").decode("latin-1")))
            self.name = base_name(about[b"filename"].decode(errors="replace"))
        self._headers = {}

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._write(data[start:end])

    def _on_part_end(self) -> None:
        self._in_file = False

    def _on_end(self) -> None:
        self._ended = True


def base_name(name: str) -> str:
    r"""The last part of what a client calls a file, wherever it has it.

    Example:
        >>> base_name("C:\\videos\\walk.mp4"), base_name("../../walk.mp4")
        ('walk.mp4', 'walk.mp4')
    """
    return name.replace("\\", "/").rpartition("/")[2]


def _no_form(reason: str) -> HTTPException:
    return HTTPException(400, f"expected a form with one file ({FORM}): {reason}")
