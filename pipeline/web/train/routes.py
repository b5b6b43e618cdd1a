"""What the pages for training ask for."""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from markdown_it import MarkdownIt
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pipeline.errors import DataError
from pipeline.run import RUNS, Run
from pipeline.web.errors import OutsideError
from pipeline.web.label.clips import NAME as CLIPS
from pipeline.web.label.table import NAME as EVENTS
from pipeline.web.pages import json_of, page
from pipeline.web.train.job import Job, JobFolder, as_far_as_it_came
from pipeline.web.train.jobs import Jobs
from pipeline.web.train.plan import PRESETS, Choice, prepared_sets
from pipeline.web.train.runs import all_runs, differing, figures, history
from pipeline.web.workspace import Workspace

_TICK_SECONDS: Final = 0.5
_LOG_BYTES: Final = 200_000
_REPORT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        "script-src 'unsafe-inline'",
        "frame-ancestors 'none'",
        "sandbox allow-scripts allow-popups",
    )
)
"""For reports, whose style and script stand in them: a place of their own, which reaches nothing.

Source: https://www.w3.org/TR/CSP3/#directive-sandbox
"""


class Training:
    """The pages for trainings and runs.

    Args:
        workspace: Where data and runs are.
        is_ending: Says whether the server is about to end, so that nothing goes on for ever.
    """

    def __init__(self, workspace: Workspace, is_ending: Callable[[], bool]) -> None:
        self._workspace, self._is_ending = workspace, is_ending
        self._jobs = Jobs(workspace.root)

    @property
    def routes(self) -> Sequence[Route]:
        """Where it answers."""
        return (
            Route("/train", self._train_page),
            Route("/jobs/{number}", self._job_page),
            Route("/runs", self._runs_page),
            Route("/runs/{name}/report", self._report),
            Route("/api/jobs", self._start, methods=["POST"]),
            Route("/api/jobs/{number}", self._job),
            Route("/api/jobs/{number}/data", self._data),
            Route("/api/jobs/{number}/stop", self._stop, methods=["POST"]),
            Route("/api/jobs/{number}/go-on", self._go_on, methods=["POST"]),
            Route("/api/jobs/{number}/finish", self._finish, methods=["POST"]),
            Route("/api/jobs/{number}/events", self._events),
        )

    def _train_page(self, request: Request) -> Response:
        labelled = [
            (each.name, kind)
            for each in self._workspace.video_folders()
            for kind in self._kinds(each.name)
        ]
        folder = request.query_params.get("folder", "")
        jobs = self._jobs.all()
        facts = {"labelled": labelled, "prepared": prepared_sets(self._workspace), "folder": folder}
        return page("train.html", presets=PRESETS, jobs=jobs, **facts)

    def _kinds(self, folder: str) -> list[str]:
        """What was labelled in a folder."""
        tables = {"events": EVENTS, "clips": CLIPS}
        place = self._workspace.folder(folder)
        return [kind for kind, table in tables.items() if (place / table).is_file()]

    def _job_page(self, request: Request) -> Response:
        number = request.path_params["number"]
        return page("job.html", number=number, job=self._found(number).read())

    def _runs_page(self, request: Request) -> Response:
        runs = all_runs(self._workspace.root)
        chosen = request.query_params.getlist("run")
        compared = [each for each in runs if each.name in chosen]
        facts = {"compared": compared, "differing": differing(compared)}
        return page("runs.html", runs=runs, asked="compare" in request.query_params, **facts)

    def _report(self, request: Request) -> Response:
        """The report of a run, a page that was written by `clipline evaluate`."""
        run = self._run(request.path_params["name"])
        if run.report_page.is_file():
            text = run.report_page.read_text("utf-8")
            return HTMLResponse(text, headers={"Content-Security-Policy": _REPORT_POLICY})
        raise OutsideError(f"{run.folder.name}: there is no report")

    def _run(self, name: str) -> Run:
        return Run(self._workspace.folder(f"{RUNS}/{name}"))

    def _found(self, number: str) -> JobFolder:
        return self._jobs.folder(number)

    async def _start(self, request: Request) -> Response:
        """Starts what was chosen; with `check`, only what reads and reports."""
        content = await json_of(request)
        choice = Choice.checked(content)
        plan = choice.check if content.get("check") is True else choice.training
        job = await run_in_threadpool(plan, self._workspace)
        number = await run_in_threadpool(self._jobs.start, job)
        return JSONResponse({"number": number})

    def _job(self, request: Request) -> Response:
        number = request.path_params["number"]
        return JSONResponse(self._state(self._found(number).read()))

    def _data(self, request: Request) -> Response:
        """What was found of the data of a job, as a piece of a page."""
        job = self._found(request.path_params["number"]).read()
        report = self._workspace.root / job.data / "data_report.md"
        if not job.data or not report.is_file():
            return HTMLResponse("")
        # Names of files and classes stand in it: markup in them stays text.
        render = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render
        text = render(report.read_text("utf-8"))
        # The policy of the pages lets no style stand in them.
        return HTMLResponse(re.sub(r' style="text-align:(\w+)"', r' class="\1"', text))

    def _stop(self, request: Request) -> Response:
        self._jobs.stop(request.path_params["number"])
        return JSONResponse({})

    def _go_on(self, request: Request) -> Response:
        self._jobs.go_on(request.path_params["number"])
        return JSONResponse({})

    def _finish(self, request: Request) -> Response:
        """Makes a run of a training that was stopped, as far as it came."""
        job = as_far_as_it_came(
            self._found(request.path_params["number"]).read(), self._workspace.root
        )
        if not job:
            raise DataError("there is no epoch of this training yet, or it has ended")
        return JSONResponse({"number": self._jobs.start(job)})

    def _events(self, request: Request) -> Response:
        """What changes while a job runs, as server-sent events."""
        folder = self._found(request.path_params["number"])
        folder.read()
        return StreamingResponse(self._changes(folder), media_type="text/event-stream")

    async def _changes(self, folder: JobFolder) -> AsyncIterator[str]:
        at, last = max(0, _size(folder.log) - _LOG_BYTES), None
        # A character may begin in one piece and end in the next.
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        while not self._is_ending():
            job = await run_in_threadpool(folder.read)
            state = await run_in_threadpool(self._state, job)
            if state != last:
                last = state
                yield _event("state", state)
            content = await run_in_threadpool(_read_on, folder.log, at)
            at += len(content)
            if content:
                yield _event("log", decoder.decode(content))
            elif job.state != "running":
                return
            await asyncio.sleep(_TICK_SECONDS)

    def _state(self, job: Job) -> dict[str, Any]:
        """A job with what came of it so far."""
        can_finish = as_far_as_it_came(job, self._workspace.root) is not None
        state: dict[str, Any] = {**job.as_json(), "can_finish": can_finish}
        state |= {"history": [], "figures": None}
        folder = self._workspace.root / job.run
        if job.run and folder.is_dir():
            run, found = Run(folder), figures(Run(folder))
            state["history"] = history(run)
            state["figures"] = {"text": found.about, "score": found.score, "value": found.value}
            state["figures"]["interval"] = found.interval
            state["has_report"] = found.has_report
            state["can_classify"] = found.can_classify
            state["epochs"] = found.settings.get("train.epochs")
        return state


def _event(kind: str, content: object) -> str:
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_on(path: Path, at: int) -> bytes:
    """What was added to a file since a place, or as much of it as is read at once."""
    if _size(path) <= at:
        return b""
    with path.open("rb") as file:
        file.seek(at)
        return file.read(_LOG_BYTES)
