"""What players ask for: frames of recordings by their numbers, and what is known of them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.web.label.recordings import Recording, Recordings
from pipeline.web.pages import number_of
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


class Playing:
    """Videos as players show them.

    Args:
        workspace: Where folders are.
        recordings: What gives their frames.
        tried: Gives the file of a video that is tried, which lies outside the workspace.
    """

    def __init__(
        self, workspace: Workspace, recordings: Recordings, tried: Callable[[str], Path]
    ) -> None:
        self._workspace, self._recordings, self._tried = workspace, recordings, tried

    @property
    def routes(self) -> Sequence[Route]:
        """Where it answers."""
        return (
            Route("/api/video", self._video),
            Route("/api/video/frames", self._frames),
            Route("/api/video/file", self._file),
        )

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
