"""Whatever goes wrong becomes an answer of one sentence, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import ConfigError, VideoDecodeError
from pipeline.inference.decoding import DecoderKilledError
from pipeline.text import one_line, visible
from pipeline.workers.pool import WorkerLostError

_UNEXPECTED = "something went wrong in the server; its log says what"


class Explained:
    """An application whose errors are answers; one that nobody expected is logged in one line.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_see(message: Message) -> None:
            nonlocal started
            started |= message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        except ClientDisconnect:
            return
        except Exception as error:
            if not isinstance(error, ConfigError | VideoDecodeError):
                _log(scope, error)
            if not started:
                await explained(error)(scope, receive, send)


def explained(error: Exception) -> Response:
    """The answer for an error."""
    if isinstance(error, DecoderKilledError | WorkerLostError):
        reason = "the process that read the video was killed, perhaps for lack of memory; try again"
        return said(503, reason, {"Retry-After": "2"})
    if isinstance(error, VideoDecodeError):
        return said(422, error.reason)
    if isinstance(error, ConfigError):  # It may name an option of the command line.
        return said(422, one_line(error).replace("--", ""))
    return said(500, _UNEXPECTED)


def said(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer that says what is wrong."""
    return JSONResponse({"error": reason}, status, headers)


async def refused(_: Request, error: Exception) -> Response:
    """The answer to a request that is refused; what is left of its body is read and dropped."""
    if not isinstance(error, HTTPException):
        return explained(error)
    usual = {
        "Not Found": "there is nothing here; /docs says what there is",
        "Method Not Allowed": "another method is expected here; /docs says which",
    }
    return said(error.status_code, usual.get(error.detail, error.detail), error.headers)


def _log(scope: Scope, error: Exception) -> None:
    text = f"{scope['method']} {scope['path']}: {type(error).__name__}: {one_line(error)}"
    print(f"clipline: {visible(text)}", file=sys.stderr, flush=True)
