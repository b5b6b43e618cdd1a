"""What the page for labelling asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.web.label.classes import change_settings, read_settings
from pipeline.web.label.exchange import export_events, import_events
from pipeline.web.label.learner import Learner
from pipeline.web.label.marked import VideoEvents
from pipeline.web.label.proposals import Proposals, as_json
from pipeline.web.label.recordings import Recordings
from pipeline.web.label.renaming import rename_class
from pipeline.web.label.table import EventsTable
from pipeline.web.pages import bytes_of, json_of, page, seconds_of
from pipeline.web.workspace import Workspace


class Labelling:
    """The page for the recordings of a folder.

    Args:
        workspace: Where folders are.
        recordings: What gives their frames.
        proposals: What runs find in them.
        learner: What is learnt of their labels.
    """

    def __init__(
        self,
        workspace: Workspace,
        recordings: Recordings,
        proposals: Proposals,
        learner: Learner,
    ) -> None:
        self._workspace, self._recordings = workspace, recordings
        self._proposals, self._learner = proposals, learner

    @property
    def routes(self) -> Sequence[Route]:
        """Where it answers."""
        return (
            Route("/label", self._page),
            Route("/api/label/folder", self._folder),
            Route("/api/label/settings", self._save_settings, methods=["PUT"]),
            Route("/api/label/rename", self._rename, methods=["PUT"]),
            Route("/api/label/events", self._save_events, methods=["PUT"]),
            Route("/api/label/import", self._import, methods=["POST"]),
            Route("/api/label/export", self._export),
            Route("/api/label/proposals", self._propose),
            Route("/api/label/learnt", self._learnt),
            Route("/api/label/similar", self._similar),
        )

    def _page(self, request: Request) -> Response:
        folder = request.query_params.get("folder")
        if folder is None:
            return RedirectResponse("/", 303)
        self._workspace.folder(folder)
        return page("label.html", folder=folder)

    def _folder(self, request: Request) -> Response:
        """The recordings of a folder with their events, and its settings."""
        name = request.query_params.get("folder", "")
        folder, videos = self._workspace.folder(name), self._workspace.videos(name)
        found = EventsTable(folder).read(videos)
        listed = [{"name": video, **_as_json(found[video])} for video in videos]
        about = {"settings": read_settings(folder).as_json(), "runs": self._proposals.runs()}
        return JSONResponse({"videos": listed, **about})

    def _propose(self, request: Request) -> Response:
        """What a run finds in a video; without one, what is learnt of the labels so far."""
        path = self._workspace.video(request.query_params.get("video", ""))
        if run := request.query_params.get("run", ""):
            return JSONResponse({"proposals": as_json(self._proposals.propose(path, run))})
        return JSONResponse({"proposals": as_json(self._learner.proposals(path))})

    def _learnt(self, request: Request) -> Response:
        """What is learnt of the labels of a folder; it goes on in the background."""
        name = request.query_params.get("folder", "")
        folder, videos = self._workspace.folder(name), self._workspace.videos(name)
        return JSONResponse(self._learner.look(folder, EventsTable(folder).read(videos)))

    def _similar(self, request: Request) -> Response:
        """Stretches of the same folder that look like one."""
        path = self._workspace.video(request.query_params.get("video", ""))
        start, end = (seconds_of(request, name) for name in ("start", "end"))
        found = self._learner.similar(path, start, max(start, end))
        return JSONResponse({"stretches": [each._asdict() for each in found]})

    async def _save_settings(self, request: Request) -> Response:
        folder = self._workspace.folder(request.query_params.get("folder", ""))
        settings = await run_in_threadpool(change_settings, folder, await json_of(request))
        return JSONResponse(settings.as_json())

    async def _rename(self, request: Request) -> Response:
        """Gives a class another name, wherever it stands in a folder."""
        folder = self._workspace.folder(request.query_params.get("folder", ""))
        old, name = request.query_params.get("class", ""), await json_of(request)
        settings = await run_in_threadpool(rename_class, folder, old, name)
        return JSONResponse(settings.as_json())

    async def _save_events(self, request: Request) -> Response:
        """Writes the events of a video; where somebody else changed them, says what they are."""
        folder, video = self._named(request)
        content = await json_of(request)
        events = VideoEvents.checked(content)
        table = EventsTable(folder)
        version = str(content.get("version", ""))
        await run_in_threadpool(table.save, video, events, version=version)
        return JSONResponse(_as_json(events))

    async def _import(self, request: Request) -> Response:
        """Adds the events of a file, whose bytes are the body."""
        folder = self._workspace.folder(request.query_params.get("folder", ""))
        content = await bytes_of(request)
        name = request.query_params.get("name", "")
        found = await run_in_threadpool(import_events, folder, name, content)
        return JSONResponse(found.as_json())

    def _export(self, request: Request) -> Response:
        """The events of a video as a file of an annotation program."""
        path = self._workspace.video(request.query_params.get("video", ""))
        end = request.query_params.get("format", "")
        names = tuple(each.name for each in read_settings(path.parent).classes)
        content = export_events(path, self._recordings.open(path).info, end, names)
        name = quote(f"{path.stem}{end}")
        headers = {"Content-Disposition": f"attachment; filename*=utf-8''{name}"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    def _named(self, request: Request) -> tuple[Path, str]:
        """The folder of a video, and the name of its file."""
        path = self._workspace.video(request.query_params.get("video", ""))
        return path.parent, path.name


def _as_json(events: VideoEvents) -> dict[str, Any]:
    return {**events.as_json(), "version": events.version}
