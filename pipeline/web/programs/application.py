"""The application that answers programs: which path does what."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.errors import ConfigError
from pipeline.inference.decoding import Decoder, DecoderKilledError
from pipeline.web.clients import unless_gone
from pipeline.web.programs.metrics import Counted, Metrics
from pipeline.web.programs.mistakes import Explained, refused
from pipeline.web.programs.models import Model, Models
from pipeline.web.programs.openapi import document
from pipeline.web.programs.options import Options
from pipeline.web.programs.protocol import SERVER, described
from pipeline.web.programs.queue import WorkQueue
from pipeline.web.programs.requests import settings_of, video_of
from pipeline.web.uploads import Uploads, deadline

T = TypeVar("T")

OPEN_PATHS: Final = ("/v2/health/live", "/v2/health/ready")
"""What says whether the server lives takes no token."""

_STATIC: Final = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/docs.css": ("docs.css", "text/css"),
}


def application(models: Models, options: Options) -> Starlette:
    """What answers programs, to be served once.

    Args:
        models: The runs that answer.
        options: Limits.
    """
    programs = _Programs(models, options)
    routes = programs.routes()
    metrics = programs.metrics = Metrics(models, frozenset(route.path for route in routes))
    return Starlette(
        routes=routes,
        middleware=[Middleware(Counted, metrics=metrics), Middleware(Explained)],
        exception_handlers={HTTPException: refused},
        lifespan=programs.lifespan,
    )


class _Programs:
    """The handlers of requests, and what they share."""

    metrics: Metrics
    _uploads: Uploads
    _queue: WorkQueue

    def __init__(self, models: Models, options: Options) -> None:
        self._models, self._options = models, options

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keeps what requests share, from the start of the server to its end."""
        options = self._options
        queue = WorkQueue(
            at_once=options.at_once,
            most_waiting=options.most_waiting,
            make_decoder=partial(Decoder, limits=options.limits),
        )
        uploads = Uploads(
            most_bytes=options.most_bytes,
            quota=options.quota,
            on_bytes=self.metrics.received.inc,
        )
        self.metrics.watch(queue)
        with contextlib.closing(queue), uploads:
            self._queue, self._uploads = queue, uploads
            yield

    def routes(self) -> list[Route]:
        """Which path does what."""
        answered: dict[str, Callable[[], dict[str, Any]]] = {
            "/v1/models": lambda: {"models": [model.as_json() for model in self._models]},
            "/v2": lambda: dict(SERVER),
            "/v2/health/live": lambda: {"live": True},
            "/v2/health/ready": lambda: {"ready": True},
            "/openapi.json": lambda: document([model.name for model in self._models]),
        }
        model = "/v2/models/{name}"
        of_models = (model, f"{model}/versions/{{version}}")
        return [
            Route("/", lambda _: RedirectResponse("/docs", 303)),
            *(Route(path, partial(_static, *file)) for path, file in _STATIC.items()),
            *(Route(path, partial(_answered, answer)) for path, answer in answered.items()),
            Route("/metrics", self._metrics),
            Route("/v1/classify", self._classify, methods=["POST"]),
            Route("/v1/timeline", self._timeline, methods=["POST"]),
            *(Route(each, self._described) for each in of_models),
            *(Route(f"{each}/ready", self._ready) for each in of_models),
            *(Route(f"{each}/infer", self._infer, methods=["POST"]) for each in of_models),
        ]

    async def _metrics(self, _: Request) -> Response:
        return self.metrics.response()

    async def _classify(self, request: Request) -> Response:
        settings, model = settings_of(request, "top"), self._model(request)
        if model.per_frame:
            raise ConfigError(
                f"{model.name} answers at each frame and has no one answer for a video: send it to "
                "/v1/timeline"
            )
        if settings.get("top", 1) < 1:  # before there is work
            raise ConfigError("top: expected at least 1")
        return await self._answer(request, model, "classify", partial(model.classify, **settings))

    async def _timeline(self, request: Request) -> Response:
        settings, model = settings_of(request, "window", "overlap"), self._model(request)
        return await self._answer(request, model, "timeline", partial(model.timeline, **settings))

    async def _described(self, request: Request) -> Response:
        return JSONResponse(described(self._models.of_path(**request.path_params)))

    async def _ready(self, request: Request) -> Response:
        model = self._models.of_path(**request.path_params)
        return JSONResponse({"name": model.name, "ready": True})

    async def _infer(self, request: Request) -> Response:
        model = self._models.of_path(**request.path_params)
        raise HTTPException(
            501,
            f"no tensors are taken here: send the video to {model.path}, or serve an export of the "
            "run in Triton or TensorFlow Serving",
        )

    async def _answer(
        self,
        request: Request,
        model: Model,
        kind: str,
        answer: Callable[[Decoder, Path, str], dict[str, Any]],
    ) -> Response:
        """The answer for the video of a request."""
        until = deadline(self._options.timeout_seconds)
        self._queue.check_room()  # before a body comes for nothing
        async with video_of(request, self._uploads, self._options.folder, until=until) as video:
            work = self._queue.do(lambda decoder: _again(answer, decoder, *video), until=until)
            found = await unless_gone(request, work)
        self.metrics.answers.labels(model.name, kind).inc()
        return JSONResponse(found)

    def _model(self, request: Request) -> Model:
        return self._models.named(request.query_params.get("run"))


def _again(answer: Callable[[Decoder, Path, str], T], decoder: Decoder, *video: Any) -> T:
    """An answer, tried once more where the process that read the video was killed."""
    try:
        return answer(decoder, *video)
    except DecoderKilledError:
        return answer(decoder, *video)


def _answered(answer: Callable[[], dict[str, Any]], _: Request) -> Response:
    return JSONResponse(answer())


def _static(name: str, media_type: str, _: Request) -> Response:
    file = files("pipeline.web.programs") / "static" / name
    return Response(file.read_bytes(), media_type=media_type)
