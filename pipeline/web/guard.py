"""Who may ask: hosts, origins and a token are checked before anything else sees a request."""

from __future__ import annotations

import ipaddress
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import ConfigError

_CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_READING: Final = ("GET", "HEAD")
_PARAMETER: Final = "token"
_LONGEST_NAME: Final = 253


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, to listen at is that of this machine alone.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "lab")]
        [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """An ASGI application in front of another one, which sees those requests alone that may pass.

    A page of another site must not reach a server that listens on this machine alone. So the name
    of the host that a request gives must be that of this machine, whatever address it led to (DNS
    rebinding), and requests that a page of another site makes are refused. Where there is a token,
    each request must know it: as `Authorization: Bearer TOKEN`, or once as `?token=TOKEN`, which
    makes a cookie.

    Args:
        app: What is guarded.
        token: What a request must know; empty: nothing.
        loopback: Whether it listens on this machine alone: then `Host` must be a name of it.
        open_paths: Paths that take no token: those that say whether the server lives.

    Raises:
        ConfigError: Anybody could come in, with neither a token nor the loopback address; or the
            token cannot stand in a header.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, loopback: bool, open_paths: tuple[str, ...] = ()
    ) -> None:
        if not token and not loopback:
            raise ConfigError("a server that others can reach needs a token: leave out --no-token")
        if not all("!" <= sign <= "~" for sign in token):
            raise ConfigError("expected a token of letters, digits and signs of ASCII")
        self._app, self._token, self._loopback = app, token, loopback
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets the application do so."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refused = self._refused(scope)
        await (refused or self._app)(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to a request that does not pass."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not _is_host(hosts[0]):
            return _refusal(headers, "expected one Host header", 400)
        if self._loopback and not is_loopback(_name_of(hosts[0])):
            return _refusal(headers, "this server answers on localhost only", 421)
        if not _is_own(scope["method"], hosts[0], headers):
            return _refusal(headers, "this request came from a page of another site", 403)
        if not self._token or scope["path"] in self._open_paths:
            return None
        return self._without_token(scope, headers, hosts[0])

    def _without_token(self, scope: Scope, headers: Headers, host: str) -> Response | None:
        name = _cookie_name(host)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for key, value in pairs if key == _PARAMETER]
        if given and scope["method"] in _READING and self._is_token(given[0]):
            others = urlencode([pair for pair in pairs if pair[0] != _PARAMETER])
            # One slash alone, or the rest would be read as the name of another host.
            path = quote("/" + scope["path"].lstrip("/\\"))
            response = RedirectResponse(f"{path}?{others}" if others else path, 303)
            # A strict one would not go along to where a link in a file or a message leads.
            response.set_cookie(name, self._token, httponly=True, samesite="lax")
            return response
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(value.strip()):
            return None
        if self._is_token(_cookie(headers, name)):
            return None
        text = (
            "this server wants its token: open the address that it printed when it started, or "
            "send Authorization: Bearer TOKEN"
        )
        return _refusal(headers, text, 401)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())


def _refusal(headers: Headers, text: str, status: int) -> Response:
    """What is wrong, for a person to read in a browser, or as JSON for a program."""
    about = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    if "text/html" in headers.get("accept", ""):
        return PlainTextResponse(text, status, about)
    return JSONResponse({"error": text}, status, about)


def _is_own(method: str, host: str, headers: Headers) -> bool:
    """Whether a request comes from a page of this server, from a person, or from a program."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return False
    site = headers.get("sec-fetch-site", "none")
    # A link on a page of another site may be followed, no more.
    is_link = method in _READING and headers.get("sec-fetch-mode") == "navigate"
    is_whole_page = headers.get("sec-fetch-dest", "document") == "document"
    return site in ("same-origin", "none") or (is_link and is_whole_page)


def _is_host(host: str) -> bool:
    known = set("abcdefghijklmnopqrstuvwxyz0123456789.-:[]_")
    return 0 < len(host) <= _LONGEST_NAME and set(host.lower()) <= known


def _name_of(host: str) -> str:
    """The name in a `Host` header.

    Example:
        >>> [_name_of(host) for host in ("localhost:80", "127.0.0.1", "[::1]:8000")]
        ['localhost', '127.0.0.1', '[::1]']
    """
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _cookie_name(host: str) -> str:
    """Of its own for each port, of which cookies know nothing."""
    port = host.rpartition(":")[2]
    return f"clipline-{port if port.isdecimal() else 80}"


def _cookie(headers: Headers, name: str) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers
