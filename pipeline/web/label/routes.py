"""What the page for labelling asks for."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.errors import DataError
from pipeline.web.label.classes import change_settings, read_settings
from pipeline.web.label.clips import ClipTable, checked_label
from pipeline.web.label.exchange import export_events, import_events
from pipeline.web.label.learner import Learner
from pipeline.web.label.proposals import Proposals, as_json
from pipeline.web.label.recordings import Recording, Recordings
from pipeline.web.label.table import EventsTable, VideoEvents
from pipeline.web.pages import bytes_of, json_of, number_of, page, seconds_of
from pipeline.web.workspace import Workspace

_MOST_NUMBER: Final = 99_999_999
_MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",  # Browsers play what is in it, but not by its own name.
    ".webm": "video/webm",
    ".mkv": "video/webm",
    ".ogv": "video/ogg",
}
"""What a browser may be able to play; of all else, frames are shown one by one."""


class Labelling:
    """The page for the recordings of a folder.

    Args:
        workspace: Where folders are.
        recordings: What gives their frames.
        proposals: What runs find in them.
        learner: What is learnt of their labels.
        tried: Gives the file of a video that is tried, which lies outside the workspace.
    """

    def __init__(
        self,
        workspace: Workspace,
        recordings: Recordings,
        proposals: Proposals,
        learner: Learner,
        tried: Callable[[str], Path],
    ) -> None:
        self._workspace, self._recordings = workspace, recordings
        self._proposals, self._learner, self._tried = proposals, learner, tried

    @property
    def routes(self) -> Sequence[Route]:
        """Where it answers."""
        return (
            Route("/label", self._page),
            Route("/api/label/folder", self._folder),
            Route("/api/label/settings", self._save_settings, methods=["PUT"]),
            Route("/api/label/events", self._save_events, methods=["PUT"]),
            Route("/api/label/import", self._import, methods=["POST"]),
            Route("/api/label/export", self._export),
            Route("/api/label/proposals", self._propose),
            Route("/api/label/learnt", self._learnt),
            Route("/api/label/similar", self._similar),
            Route("/clips", self._clips_page),
            Route("/api/clips/folder", self._clips),
            Route("/api/clips/label", self._save_clip, methods=["PUT"]),
            Route("/api/video", self._video),
            Route("/api/video/frames", self._frames),
            Route("/api/video/file", self._file),
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

    def _clips_page(self, request: Request) -> Response:
        folder = request.query_params.get("folder", "")
        self._workspace.folder(folder)
        return page("clips.html", folder=folder)

    def _clips(self, request: Request) -> Response:
        """The clips of a folder with their labels, and its settings."""
        name = request.query_params.get("folder", "")
        folder, videos = self._workspace.folder(name), self._workspace.videos(name)
        found = ClipTable(folder).read(videos)
        clips = [{"name": video, "label": found[video]} for video in videos]
        return JSONResponse({"videos": clips, "settings": read_settings(folder).as_json()})

    async def _save_clip(self, request: Request) -> Response:
        """Writes the label of a clip, in place of the one that it had."""
        folder, video = self._named(request)
        content = await json_of(request)
        if not isinstance(content, dict):
            raise DataError("expected a label, an object")
        label, before = (checked_label(content.get(name, "")) for name in ("label", "before"))
        await run_in_threadpool(ClipTable(folder).save, video, label, before=before)
        return JSONResponse({"label": label})

    def _shown(self, request: Request) -> Path:
        """The file of a video that is looked at."""
        if tried := request.query_params.get("tried"):
            return self._tried(tried)
        return self._workspace.video(request.query_params.get("video", ""))

    def _video(self, request: Request) -> Response:
        """What is known of a recording, and of its frames from a number on."""
        path = self._shown(request)
        first = number_of(request, "from", 0, most=_MOST_NUMBER)
        return JSONResponse(_described(self._recordings.open(path), path, first))

    def _frames(self, request: Request) -> Response:
        """JPEGs of frames in a row, each after its length in 4 bytes, the lowest first."""
        path = self._shown(request)
        first = number_of(request, "first", 0, most=_MOST_NUMBER)
        count = number_of(request, "count", 1, least=1, most=64)
        width = number_of(request, "width", 960, least=16, most=4096)
        frames = self._recordings.frames(path, first, count, width=width)
        content = b"".join(struct.pack("<I", len(each)) + each for each in frames)
        return Response(content, media_type="application/octet-stream")

    def _file(self, request: Request) -> Response:
        """The file, for the player of the browser."""
        path = self._shown(request)
        kind = _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
        return FileResponse(path, media_type=kind)


def _as_json(events: VideoEvents) -> dict[str, Any]:
    return {**events.as_json(), "version": events.version}


def _described(recording: Recording, path: Path, first: int) -> dict[str, Any]:
    info, marks = recording.info, recording.marks
    end = float(marks[-1, 0]) + 1 / info.fps if len(marks) else 0.0
    return {
        "width": info.width,
        "height": info.height,
        "fps": info.fps,
        "declared_seconds": info.duration_seconds,
        "duration_seconds": end,
        "is_complete": recording.is_complete,
        "error": recording.error,
        "may_play": path.suffix.lower() in _MEDIA_TYPES,
        "first": first,
        "seconds": np.round(marks[first:, 0], 6).tolist(),
        "motion": np.round(marks[first:, 2], 2).tolist(),
    }
