"""The pages for people, over one folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.web.label.proposals import Proposals
from pipeline.web.label.recordings import Recordings
from pipeline.web.label.routes import Labelling
from pipeline.web.pages import ERRORS, STATIC, page
from pipeline.web.train.routes import Training
from pipeline.web.workspace import Workspace


def application(workspace: Workspace, is_ending: Callable[[], bool]) -> Starlette:
    """The application that answers the pages of a workspace.

    Args:
        workspace: The folder.
        is_ending: Says whether the server is about to end.
    """
    recordings, proposals = Recordings(), Proposals(workspace.root)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with recordings, proposals:
            yield

    def home(_: Request) -> Response:
        return page("home.html", folders=workspace.video_folders(), root=str(workspace.root))

    return Starlette(
        routes=[
            Route("/", home),
            *Labelling(workspace, recordings, proposals).routes,
            *Training(workspace, is_ending).routes,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers=ERRORS,
        lifespan=lifespan,
    )
