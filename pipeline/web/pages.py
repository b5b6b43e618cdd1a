"""Pages and what they ask for: templates, JSON in and out, errors that say what to do."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipeline import __version__
from pipeline.errors import DataError, PipelineError
from pipeline.text import one_line
from pipeline.web.errors import ChangedError, MissingError, OutsideError, RunningError

STATIC: Final = Path(__file__).parent / "static"

MOST_BYTES: Final = 2**24
_LONGEST_SECONDS: Final = 1e8

_TEMPLATES: Final = Environment(
    loader=PackageLoader("pipeline.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, **facts: Any) -> HTMLResponse:
    """A page of a template; `facts` are what it names."""
    text = _TEMPLATES.get_template(name).render(version=__version__, **facts)
    return HTMLResponse(text)


async def json_of(request: Request) -> Any:
    """The JSON in a request, which must say that it is JSON: no form of another site can.

    Raises:
        HTTPException: It is none, or too large.
    """
    expect_kind(request, "application/json")
    try:
        return json.loads(await _body(request))
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON") from None


async def bytes_of(request: Request) -> bytes:
    """The body of a request, which must say that it is bytes: no form of another site can.

    Raises:
        HTTPException: It says something else, or is too large.
    """
    expect_kind(request, "application/octet-stream")
    return await _body(request)


def expect_kind(request: Request, kind: str) -> None:
    """Makes sure that a request says what is in it.

    Raises:
        HTTPException: It says something else.
    """
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != kind:
        raise HTTPException(415, f"expected {kind}")


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"expected at most {MOST_BYTES:,} bytes")
    return bytes(content)


def number_of(request: Request, name: str, default: int, *, least: int = 0, most: int) -> int:
    """A whole number in the address of a request.

    Raises:
        HTTPException: It is none, or beyond what it may be.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise HTTPException(400, f"{name}: expected a whole number from {least} to {most}")
    return int(text)


def seconds_of(request: Request, name: str) -> float:
    """A time in the address of a request, in seconds.

    Raises:
        HTTPException: It is none.
    """
    try:
        seconds = float(request.query_params.get(name, ""))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise HTTPException(400, f"{name}: expected a time in seconds, 0 or more")
    return seconds


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, OutsideError):
        return 404
    if isinstance(error, (ChangedError, RunningError)):
        return 409
    if isinstance(error, MissingError):
        return 410
    return 422 if isinstance(error, PipelineError) else 500


def answer_error(request: Request, error: Exception) -> Response:
    """What a person or the page reads about an error."""
    status = _status(error)
    text = error.detail if isinstance(error, HTTPException) else _told(error)
    if status == 500 and not isinstance(error, OSError):
        print(f"clipline: {type(error).__name__}: {text}", file=sys.stderr, flush=True)
        text = "something went wrong in the server; its terminal says what"
    headers = getattr(error, "headers", None)
    if "text/html" in request.headers.get("accept", ""):
        response: Response = page("error.html", text=text)
        response.status_code = status
        return response
    return JSONResponse({"error": text}, status, headers)


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return one_line(error)


ERRORS: Final[dict[Any, Callable[[Request, Exception], Response]]] = {
    **dict.fromkeys((HTTPException, PipelineError, DataError, OSError, Exception), answer_error),
    ClientDisconnect: lambda *_: Response(status_code=499),  # which nobody reads
}
"""For `exception_handlers` of an application."""
