"""The pages for people, over one folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.web.label.clip_routes import ClipLabelling
from pipeline.web.label.learner import Learner
from pipeline.web.label.proposals import Proposals
from pipeline.web.label.recordings import Recordings
from pipeline.web.label.routes import Labelling
from pipeline.web.label.video_routes import Playing
from pipeline.web.opened import OpenedRuns
from pipeline.web.pages import ERRORS, STATIC, page
from pipeline.web.train.routes import Training
from pipeline.web.tryout.explaining import Explainer
from pipeline.web.tryout.routes import Tryout
from pipeline.web.uploads import Uploads
from pipeline.web.workspace import Workspace

_MOST_BYTES: Final = 2**32
_QUOTA: Final = 2**34
"""Of the videos that are tried, all together."""


def application(workspace: Workspace, is_ending: Callable[[], bool]) -> Starlette:
    """The application that answers the pages of a workspace.

    Args:
        workspace: The folder.
        is_ending: Says whether the server is about to end.
    """
    recordings, runs, learner = Recordings(), OpenedRuns(workspace.root), Learner()
    uploads = Uploads(most_bytes=_MOST_BYTES, quota=_QUOTA)
    tryout = Tryout(runs, uploads, Explainer(is_ending))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with recordings, runs, learner, uploads:
            yield

    def home(_: Request) -> Response:
        return page("home.html", folders=workspace.video_folders(), root=str(workspace.root))

    return Starlette(
        routes=[
            Route("/", home),
            *Labelling(workspace, recordings, Proposals(runs), learner).routes,
            *ClipLabelling(workspace).routes,
            *Playing(workspace, recordings, tryout.path).routes,
            *Training(workspace, is_ending).routes,
            *tryout.routes,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers=ERRORS,
        lifespan=lifespan,
    )
