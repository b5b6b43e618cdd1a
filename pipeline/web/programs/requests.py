"""What a request asks for: its query, and its video."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pipeline.errors import ConfigError, check_known
from pipeline.web.bodies import media_type
from pipeline.web.programs.folder import JSON, named_video
from pipeline.web.uploads import Uploads

_COMMON: Final = ("run", "name")
_KINDS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "top": (int, "a whole number"),
    "window": (float, "a number of seconds"),
    "overlap": (float, "a number"),
}


def settings_of(request: Request, *known: str) -> dict[str, Any]:
    """The settings in the query of a request, besides the run and the name of the video.

    Raises:
        ConfigError: One is unknown, there twice, or not of its type.
    """
    pairs = request.query_params.multi_items()
    check_known([name for name, _ in pairs], [*_COMMON, *known], "query")
    if len(dict(pairs)) < len(pairs):
        raise ConfigError("query: expected each setting once")
    return {name: _value(name, text) for name, text in pairs if name in known}


def _value(name: str, text: str) -> Any:
    read, what = _KINDS[name]
    try:
        return read(text)
    except ValueError:
        raise ConfigError(f"{name}: expected {what}, got {text!r}") from None


@contextlib.asynccontextmanager
async def video_of(
    request: Request, uploads: Uploads, folder: Path | None, *, until: float
) -> AsyncIterator[tuple[Path, str]]:
    """The video of a request, and what it calls it: its body, or the file that it names.

    Raises:
        HTTPException: See `Uploads.receive` and `named_video`; 415, it names a file and there is
            no folder for that.
    """
    if media_type(request.headers.get("content-type", "")) != JSON:
        async with uploads.received(request, until=until) as upload:
            yield upload.path, upload.name
    elif folder:
        yield await named_video(request, folder, until=until)
    else:
        raise HTTPException(
            415, "expected the bytes of a video; to name files, start the server with --folder"
        )
