"""Files behind addresses, as their servers describe them."""

from __future__ import annotations

import base64
from http.client import HTTPException
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import Request, urlopen


def has_length(address: str, *, timeout_seconds: float) -> bool:
    """Whether a server says how long what it sends is: a file does not always say so itself."""
    if not address.startswith(("http://", "https://")):
        return False
    try:
        parts = urlsplit(address)
        with urlopen(_head(parts), timeout=timeout_seconds) as answer:  # noqa: S310
            return "Content-Length" in answer.headers
    except (OSError, ValueError, HTTPException):
        return False


def _head(parts: SplitResult) -> Request:
    """A request for headers alone; a name and a password go where HTTP wants them."""
    user, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host).geturl(), method="HEAD")  # noqa: S310
    if user:
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    return request
