"""What is learnt of the labels of folders while people make them.

Recordings are described once, in the background; from then on a head is fitted within seconds
whenever labels have changed. All of it happens in processes of its own, and only while a page asks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from pipeline.errors import DataError, PipelineError
from pipeline.labelling.choice import Stretch
from pipeline.labelling.learning import Lesson, Point, Proposal
from pipeline.text import one_line
from pipeline.video.descriptors import Floats, keep_descriptors, kept_descriptors
from pipeline.video.paths import file_mark
from pipeline.web.label.learner_process import (
    PART,
    Known,
    curve_of,
    lesson_of,
    next_part,
    stretches_like,
)
from pipeline.web.label.marked import VideoEvents
from pipeline.web.worker import FileWorker

_SECONDS_A_PART: Final = 60.0
_SECONDS_TO_LEARN: Final = 600.0
_SECONDS_WATCHED: Final = 30.0
"""So long after a page asked, work goes on."""


@dataclasses.dataclass
class _Folder:
    """What is known of a folder, and what was learnt of it."""

    path: Path
    events: dict[str, VideoEvents] = dataclasses.field(default_factory=dict)
    marks: dict[str, str] = dataclasses.field(default_factory=dict)
    asked: float = 0.0
    described: dict[str, str] = dataclasses.field(default_factory=dict)
    parts: dict[str, tuple[str, list[Floats]]] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    lesson: Lesson = dataclasses.field(default_factory=lambda: Lesson({}, []))
    lessons: int = 0
    learnt: Known = ()
    curve: list[Point] = dataclasses.field(default_factory=list)
    scored: Known = ()
    error: str = ""

    @property
    def waiting(self) -> list[str]:
        """Recordings that are still to be described, those with labels first."""
        left = (name for name in self.marks if not self.is_read(name))
        return sorted(left, key=lambda name: not self.events[name].is_listed)

    def is_read(self, name: str) -> bool:
        """Whether a file was described, or cannot be, as it is now."""
        return self.described.get(name) == self.marks[name]

    @property
    def known(self) -> Known:
        """What is known of the described recordings, in order."""
        return tuple(
            (name, self.events[name].annotation)
            for name in self.marks
            if self.is_read(name) and name not in self.failed
        )

    @property
    def is_stale(self) -> bool:
        """Whether a head is to be fitted: labels have changed, or the last recording is there."""
        labelled = [each for each in self.known if each[1]]
        before = [each for each in self.learnt if each[1]]
        return labelled != before or (not self.waiting and self.known != self.learnt)

    @property
    def has_work(self) -> bool:
        """Whether a head is to be fitted or a recording to be described."""
        return self.is_stale or bool(self.waiting)

    @property
    def is_unscored(self) -> bool:
        """Whether the learning curve is not that of what is learnt."""
        return self.scored != self.learnt


class _Loop:
    """Work in a thread of its own, which ends when there is nothing left to do."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._thread = work, ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None

    def begin(self) -> None:
        """Begins anew, unless it is under way."""
        if self._under_way is None or self._under_way.done():
            self._under_way = self._thread.submit(self._work)

    def join(self) -> None:
        """Waits for its end."""
        self._thread.shutdown(cancel_futures=True)


class Learner:
    """Learns in the background; a context manager. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: dict[Path, _Folder] = {}
        self._loops = _Loop(self._work), _Loop(self._score)
        self._is_closed = False
        self._describing = FileWorker(_SECONDS_A_PART)
        self._learning, self._scoring = (FileWorker(_SECONDS_TO_LEARN) for _ in range(2))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        workers = self._describing, self._learning, self._scoring
        for worker in workers:
            worker.stop()
        for loop in self._loops:
            loop.join()
        for worker in workers:
            worker.close()

    def look(self, path: Path, events: Mapping[str, VideoEvents]) -> dict[str, Any]:
        """What was learnt so far, as JSON types; work goes on for half a minute.

        Args:
            path: The folder.
            events: What is known of its recordings, by the names of their files.
        """
        with self._lock:
            folder = self._folders.setdefault(path, _Folder(path))
            folder.events, folder.asked = dict(events), time.monotonic()
            folder.marks = _marks(path, events)
            if not self._is_closed:
                for loop in self._loops:
                    loop.begin()
            return _as_json(folder)

    def proposals(self, path: Path) -> list[Proposal]:
        """What is proposed for a recording; nothing where nothing is learnt yet."""
        folder = self._folders.get(path.parent)
        return folder.lesson.proposals.get(path.name, []) if folder else []

    def similar(self, path: Path, start: float, end: float) -> list[Stretch]:
        """Stretches of the folder of a recording that look like one of it, the likest first.

        Raises:
            DataError: It is not read yet.
        """
        folder = self._folders.get(path.parent)
        if not folder or path.name not in dict(folder.known):
            raise DataError(f"{path.name}: it is still being read. Try again in a moment")
        found: list[Stretch] = self._learning.do(
            stretches_like, path.parent, folder.known, Stretch(path.name, start, end)
        )
        return found

    def _work(self) -> None:
        """Does what there is to do, a step at a time."""
        while folder := self._next(lambda each: each.has_work):
            known = folder.known
            try:
                if folder.is_stale:
                    folder.lesson = self._learning.do(lesson_of, folder.path, known)
                    folder.lessons += 1
                    folder.learnt, folder.error = known, ""
                elif waiting := folder.waiting:
                    self._describe(folder, waiting[0])
            except PipelineError as error:
                folder.error = one_line(error)
                folder.learnt = known

    def _score(self) -> None:
        """Finds the learning curves of what is learnt."""
        while folder := self._next(lambda each: each.is_unscored):
            known = folder.learnt
            try:
                folder.curve = self._scoring.do(curve_of, folder.path, known)
            except PipelineError as error:
                folder.error = one_line(error)
            folder.scored = known

    def _next(self, has_work: Callable[[_Folder], bool]) -> _Folder | None:
        """A folder that a page looks at and in which there is something to do."""
        with self._lock:
            latest = sorted(self._folders.values(), key=lambda each: -each.asked)
            for folder in latest:
                is_watched = time.monotonic() - folder.asked < _SECONDS_WATCHED
                if is_watched and not self._is_closed and has_work(folder):
                    return folder
        return None

    def _describe(self, folder: _Folder, name: str) -> None:
        """Describes the next part of a recording."""
        path, mark = folder.path / name, folder.marks.get(name, "")
        begun, parts = folder.parts.pop(name, (mark, []))
        if begun != mark:  # The file was replaced meanwhile.
            parts = []
        folder.failed.pop(name, None)
        try:
            if parts or kept_descriptors(path) is None:
                part = self._describing.do(next_part, path, sum(map(len, parts)))
                parts.append(part)
                if len(part) == PART or file_mark(path) != mark:
                    folder.parts[name] = mark, parts
                    return
                keep_descriptors(path, np.concatenate(parts))
        except (PipelineError, OSError) as error:
            folder.failed[name] = one_line(getattr(error, "reason", error))
        folder.described[name] = mark


def _marks(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The marks of files, see `file_mark`; of those that are there."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = file_mark(path / name)
    return found


def _as_json(folder: _Folder) -> dict[str, Any]:
    marked = [len(each.events) for each in folder.events.values() if each.events]
    return {
        "recordings": len(folder.marks),
        "described": len(folder.marks) - len(folder.waiting),
        "failed": {name: why for name, why in folder.failed.items() if name in folder.marks},
        "events": sum(marked),
        "labelled": len(marked),
        "is_learning": folder.is_stale,
        "is_scoring": folder.is_unscored,
        "lesson": folder.lessons,
        "stretches": [each._asdict() for each in folder.lesson.stretches],
        "curve": [each._asdict() for each in folder.curve],
        "error": folder.error,
    }
