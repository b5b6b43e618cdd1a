"""A server that listens until it is told to end, and finishes what it took by then."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.errors import ConfigError
from pipeline.web.guard import Guard, is_loopback

SECONDS_TO_END: Final = 30
"""How long requests that were taken may still last once the server is told to end."""

_SECONDS_FOR_HEADERS: Final = 15
_MOST_CONNECTIONS: Final = 512
_LONGEST_PORT: Final = 65_535


def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    token: str,
    open_paths: tuple[str, ...] = (),
    on_start: Callable[[str], object],
    on_end: Callable[[], object] = lambda: None,
) -> None:
    """Answers requests until Ctrl-C or SIGTERM; what was taken by then is finished.

    Args:
        app: What answers, see `Guard` for what it is asked.
        host: The address to listen at.
        port: 0: any that is free.
        token: What requests must know; empty: nothing, which others than this machine cannot be
            let in with.
        open_paths: See `Guard`.
        on_start: Called with the address, without the token, once connections are taken.
        on_end: Called when it is told to end: answers that go on for ever are to end then.

    Raises:
        ConfigError: It cannot listen there, or must not, see `Guard`.
    """
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            Guard(app, token=token, loopback=is_loopback(host), open_paths=open_paths),
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        address = _address(listener, host)
        _Server(config, lambda: on_start(address), on_end).run(sockets=[listener])


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    if not 0 <= port <= _LONGEST_PORT:
        raise ConfigError(f"--port: expected 0 to {_LONGEST_PORT}, got {port}")
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host.strip("[]"), port))
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(
                f"cannot listen at {host}, port {port}: {reason}. Another port: --port {port + 1}"
            ) from None
        yield listener


def _address(listener: socket.socket, host: str) -> str:
    name = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}/"


class _Server(uvicorn.Server):
    """A server that ends by itself on a signal, so that the process can say how it went."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_start: Callable[[], object],
        on_end: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._on_start, self._on_end = on_start, on_end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_end()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signals.append(signal.SIGHUP)  # The terminal was closed.
        before = {each: signal.signal(each, self.handle_exit) for each in signals}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class _Protocol(H11Protocol):
    """HTTP/1.1 that gives up on who does not say in time what is wanted."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle and not self.cycle.response_complete:
            self._forget_deadline()
        elif not self._deadline:
            self._wait_for_headers()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(_SECONDS_FOR_HEADERS, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
