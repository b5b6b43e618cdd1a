"""What the page for trying a run asks for."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import VideoDecodeError
from pipeline.web.clients import unless_gone
from pipeline.web.errors import OutsideError
from pipeline.web.opened import OpenedRuns
from pipeline.web.pages import page
from pipeline.web.tryout.answers import DOWNLOADS, Answer, answer, written
from pipeline.web.tryout.explaining import Explainer
from pipeline.web.uploads import Upload, Uploads, deadline

_SECONDS_FOR_UPLOAD: Final = 3600.0
_MOST_KEPT: Final = 40


class Tried(NamedTuple):
    """A file that was tried, and what was said of it."""

    upload: Upload
    answer: Answer


class Tryout:
    """The page for trying a run.

    Args:
        runs: The runs.
        uploads: Where files come.
        explainer: What explains answers.
    """

    def __init__(self, runs: OpenedRuns, uploads: Uploads, explainer: Explainer) -> None:
        self._runs, self._uploads, self._explainer = runs, uploads, explainer
        self._tried: OrderedDict[str, Tried] = OrderedDict()

    @property
    def routes(self) -> Sequence[Route]:
        """Where it answers."""
        return (
            Route("/try", self._page),
            Route("/api/try", self._try, methods=["POST"]),
            Route("/api/try/{key}/download", self._download),
            Route("/api/try/{key}/explanation", self._explanation),
        )

    def path(self, key: str) -> Path:
        """The file that was tried under a key.

        Raises:
            OutsideError: There is none, or it is gone.
        """
        return self._found(key).upload.path

    def _found(self, key: str) -> Tried:
        found = self._tried.get(key)
        if not found or not found.upload.path.exists():
            raise OutsideError("this file is gone: drop it again")
        return found

    def _page(self, request: Request) -> Response:
        chosen = request.query_params.get("run", "")
        return page("try.html", runs=self._runs.names(), chosen=chosen, formats=DOWNLOADS)

    async def _try(self, request: Request) -> Response:
        """Says what a run makes of the video in the body."""
        run = request.query_params.get("run", "")
        upload = await self._uploads.receive(request, until=deadline(_SECONDS_FOR_UPLOAD))
        try:
            found = await run_in_threadpool(self._answer, upload, run)
        except BaseException:
            self._uploads.remove(upload)
            raise
        key = secrets.token_hex(8)
        self._tried[key] = Tried(upload, found)
        while len(self._tried) > _MOST_KEPT:
            self._uploads.remove(self._tried.popitem(last=False)[1].upload)
        return JSONResponse({"key": key, **found.as_json()})

    def _answer(self, upload: Upload, run: str) -> Answer:
        name = upload.name or "video"
        with self._runs.use(run) as opened:
            try:
                return answer(opened, upload.path, name)
            except VideoDecodeError as error:
                raise VideoDecodeError(name, error.reason) from None

    def _download(self, request: Request) -> Response:
        """What was said as a file."""
        found = self._found(request.path_params["key"]).answer
        end = request.query_params.get("format", "")
        with self._runs.use(found.run) as opened:
            content = written(found, opened, end)
        name = quote(f"{PurePosixPath(found.name).stem}{end}")
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{name}"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def _explanation(self, request: Request) -> Response:
        """A picture of what the answer depends on."""
        tried = self._found(request.path_params["key"])
        run = self._runs.named(tried.answer.run)
        work = self._explainer.explained(run, tried.upload.path)
        return Response(await unless_gone(request, work), media_type="image/png")
