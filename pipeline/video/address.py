"""Asking a server whether it is there, before OpenCV does.

While OpenCV waits for one, no other video can be opened in the process.
"""

from __future__ import annotations

import base64
import socket
from http.client import HTTPException
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import Request, urlopen

TIMEOUT_SECONDS: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443, "rtsp": 554, "rtmp": 1935, "tcp": 0}


def answers(address: str) -> bool:
    """Whether someone is there, so that opening the address can be tried.

    It takes 10 seconds at most to find out. Where there is no connection to ask for, as with
    udp://, it is true.

    Args:
        address: Such as rtsp://HOST/PATH.
    """
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
        if parts.scheme not in _PORTS or not parts.hostname or not port:
            return True
        with socket.create_connection((parts.hostname, port), TIMEOUT_SECONDS) as connection:
            return parts.scheme != "rtsp" or _greets(connection)
    except OSError:
        return False
    except ValueError:  # no port, or no name of a host
        return True


def _greets(connection: socket.socket) -> bool:
    """Whether a server of RTSP says anything; source: RFC 2326, section 10.1."""
    connection.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    return bool(connection.recv(1))


def has_length(address: str) -> bool:
    """Whether a server says how long what it sends is: a file does not always say so itself."""
    if not address.startswith(("http://", "https://")):
        return False
    try:
        parts = urlsplit(address)
        with urlopen(_head(parts), timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
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
