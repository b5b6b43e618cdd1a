"""What the server does, counted for Prometheus."""

from __future__ import annotations

import re
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.web.programs.models import Models
from pipeline.web.programs.queue import WorkQueue

_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_MODEL: Final = re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?(/ready|/infer)?")
_CLIENT_GONE: Final = "499"


class Metrics:
    """Counters of one server.

    Args:
        models: Its runs.
        paths: Of its routes; others count as one.

    Attributes:
        received: Bytes of bodies that came.
        answers: Answers by run and kind.
    """

    def __init__(self, models: Models, paths: frozenset[str]) -> None:
        self._paths = paths
        self._registry = registry = CollectorRegistry()
        self.received = Counter(
            "clipline_received_bytes", "Bytes of bodies that came.", registry=registry
        )
        self.answers = Counter(
            "clipline_answers",
            "Answers of runs, by what was asked.",
            ("run", "kind"),
            registry=registry,
        )
        self._requests = Counter(
            "clipline_requests", "Requests.", ("path", "status"), registry=registry
        )
        self._seconds = Histogram(
            "clipline_request_seconds",
            "From the header of a request to the end of its answer.",
            ("path",),
            buckets=_BUCKETS,
            registry=registry,
        )
        runs = Gauge("clipline_run", "Runs that answer.", ("run", "fingerprint"), registry=registry)
        for model in models:
            runs.labels(model.name, model.classifier.fingerprint).set(1)

    def watch(self, queue: WorkQueue) -> None:
        """Tells from now on how long a queue is."""
        waiting = Gauge(
            "clipline_waiting_requests",
            "Requests that wait for their turn.",
            registry=self._registry,
        )
        working = Gauge(
            "clipline_working_requests", "Requests that are worked on.", registry=self._registry
        )
        waiting.set_function(lambda: queue.waiting)
        working.set_function(lambda: queue.working)

    def response(self) -> Response:
        """All of them as Prometheus reads them."""
        return Response(
            generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    def count(self, path: str, status: str, seconds: float) -> None:
        """Counts a request."""
        path = self._known(path)
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def _known(self, path: str) -> str:
        """A path as there are few: whoever asks for many others must not fill the memory."""
        if match := _MODEL.fullmatch(path):
            return f"/v2/models/NAME{match[1] or ''}"
        return path if path in self._paths else "other"


class Counted:
    """An application of which each request is counted.

    Args:
        app: The application.
        metrics: Where.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.monotonic(), _CLIENT_GONE

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            self._metrics.count(scope["path"], status, time.monotonic() - start)
