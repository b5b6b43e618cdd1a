"""The pages for people, over one folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.web.label.recordings import Recordings
from pipeline.web.label.routes import Labelling
from pipeline.web.pages import ERRORS, STATIC, page
from pipeline.web.workspace import Workspace


def application(workspace: Workspace) -> Starlette:
    """The application that answers the pages of a workspace."""
    recordings = Recordings()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with recordings:
            yield

    def home(_: Request) -> Response:
        return page("home.html", folders=workspace.video_folders(), root=str(workspace.root))

    return Starlette(
        routes=[
            Route("/", home),
            *Labelling(workspace, recordings).routes,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers=ERRORS,
        lifespan=lifespan,
    )
