"""What the page for labelling clips asks for."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import DataError
from pipeline.web.label.classes import read_settings
from pipeline.web.label.clips import ClipTable, checked_label
from pipeline.web.pages import json_of, page
from pipeline.web.workspace import Workspace


class ClipLabelling:
    """The page for the clips of a folder.

    Args:
        workspace: Where folders are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def routes(self) -> Sequence[Route]:
        """Where it answers."""
        return (
            Route("/clips", self._page),
            Route("/api/clips/folder", self._folder),
            Route("/api/clips/label", self._save, methods=["PUT"]),
        )

    def _page(self, request: Request) -> Response:
        folder = request.query_params.get("folder", "")
        self._workspace.folder(folder)
        return page("clips.html", folder=folder)

    def _folder(self, request: Request) -> Response:
        """The clips of a folder with their labels, and its settings."""
        name = request.query_params.get("folder", "")
        folder, videos = self._workspace.folder(name), self._workspace.videos(name)
        found = ClipTable(folder).read(videos)
        clips = [{"name": video, "label": found[video]} for video in videos]
        return JSONResponse({"videos": clips, "settings": read_settings(folder).as_json()})

    async def _save(self, request: Request) -> Response:
        """Writes the label of a clip, in place of the one that it had."""
        path = self._workspace.video(request.query_params.get("video", ""))
        content = await json_of(request)
        if not isinstance(content, dict):
            raise DataError("expected a label, an object")
        label, before = (checked_label(content.get(name, "")) for name in ("label", "before"))
        await run_in_threadpool(ClipTable(path.parent).save, path.name, label, before=before)
        return JSONResponse({"label": label})
