"""Files behind addresses, as their servers describe them."""

from __future__ import annotations

import base64
import threading
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

_SECRET = "Authorization"  # noqa: S105  # the name of the header


def has_length(address: str, *, timeout_seconds: float) -> bool:
    """Whether a server says how long what it sends is: a file does not always say so itself.

    Args:
        address: Of any scheme.
        timeout_seconds: Of the whole answer; one that is not there by then is none.
    """
    if not address.startswith(("http://", "https://")):
        return False
    answers: list[bool] = []
    # The time-out of a socket is for each byte, of which a server may send one from time to time.
    asking = threading.Thread(
        target=lambda: answers.append(_says_length(address, timeout_seconds)), daemon=True
    )
    asking.start()
    asking.join(timeout_seconds)
    return answers == [True]


def _says_length(address: str, timeout_seconds: float) -> bool:
    try:
        request = _head(urlsplit(address))
        with build_opener(_Redirects).open(request, timeout=timeout_seconds) as answer:
            return "Content-Length" in answer.headers
    except (OSError, ValueError, HTTPException):
        return False


def _head(parts: SplitResult) -> Request:
    """A request for headers alone; a name and a password go where HTTP wants them."""
    user, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host).geturl(), method="HEAD")  # noqa: S310
    if user:
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header(_SECRET, f"Basic {token}")
    return request


class _Redirects(HTTPRedirectHandler):
    """Follows redirects as FFmpeg does: only the server that it was given for gets a password."""

    def redirect_request(self, req: Request, *args: Any) -> Request | None:
        """The request to send next."""
        if follows := super().redirect_request(req, *args):
            follows.method = req.method  # Older Pythons would ask for the video itself.
            token = req.unredirected_hdrs.get(_SECRET)
            if token and (follows.type, follows.host) == (req.type, req.host):
                follows.add_unredirected_header(_SECRET, token)
        return follows
