"""Videos that lie on the server already, which requests may name."""

from __future__ import annotations

import json
import stat
from pathlib import Path, PurePath
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pipeline.web.bodies import chunks_of

JSON: Final = "application/json"
_MOST_BYTES: Final = 2**16


async def named_video(request: Request, root: Path, *, until: float) -> tuple[Path, str]:
    """The file below a folder that the JSON body of a request names, and what it calls it.

    Raises:
        HTTPException: 404, there is no such file; 408, 413, see `chunks_of`; 422, the body is not
            `{"path": "..."}`.
    """
    body = b"".join(
        [chunk async for chunk in chunks_of(request, most_bytes=_MOST_BYTES, until=until)]
    )
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not (isinstance(content, dict) and content.keys() == {"path"}):
        raise HTTPException(422, 'expected {"path": "walk.mp4"}, a file below the folder')
    return file_below(root, content["path"]), content["path"]


def file_below(root: Path, name: object) -> Path:
    """The regular file below a folder that a name leads to, whatever links are on the way.

    Raises:
        HTTPException: 404, it leads elsewhere, or to none. What lies outside is not told.
    """
    try:
        if (
            not isinstance(name, str)
            or PurePath(name).is_absolute()
            or ".." in PurePath(name).parts
        ):
            raise ValueError
        name.encode()
        root, path = root.resolve(), (root / name).resolve(strict=True)
        if not (path.is_relative_to(root) and stat.S_ISREG(path.stat().st_mode)):
            raise ValueError
    except (OSError, ValueError, RuntimeError):
        raise HTTPException(
            404, "no such file in the folder of the server; name one by its path below it"
        ) from None
    return path
