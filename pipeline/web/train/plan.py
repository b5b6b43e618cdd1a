"""What was chosen in the page, as commands."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

from pipeline.errors import DataError, PipelineError
from pipeline.prepare.prepared import describe_prepared
from pipeline.text import counted, listed
from pipeline.web.errors import MissingError
from pipeline.web.label.clips import NAME as CLIPS
from pipeline.web.label.table import NAME as EVENTS
from pipeline.web.label.table import EventsTable
from pipeline.web.train.job import Job
from pipeline.web.train.missing import Missing
from pipeline.web.workspace import Workspace

Kind = Literal["events", "clips"]

DATA: Final = "data"
"""Where data sets lie in the workspace."""

_AUTO: Final = (
    "Tries several ways in the time that you give it, and takes the best; preparing before and "
    "testing after come on top."
)

PRESETS: Final[dict[Kind, dict[str, str]]] = {
    "events": {
        "recordings": "An answer at every frame; minutes to an hour.",
        "auto": _AUTO,
    },
    "clips": {
        "small": "From scratch, from tens of videos on; minutes.",
        "tiny": "The same for slow machines.",
        "flow": "By motion alone, for a camera that stands still.",
        "pretrained": "By what single frames show; takes the extra [pretrained].",
        "pose": "By key points of one or two people; takes `clipline fetch pose`.",
        "three_stream": "Frames, differences and flow; slower.",
        "auto": _AUTO,
    },
}
"""Presets by what was labelled, with what to say of each."""

_PREPARED: Final[dict[str, tuple[str, ...]]] = {
    "flow": ("--flow",),
    "three_stream": ("--flow",),
    "pose": ("--pose",),
    "pretrained": ("--size", "224"),
}
"""Options of `prepare` that a preset needs."""

_MOST_MINUTES: Final = 24 * 60
_MOST_FOLDS: Final = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen.

    Attributes:
        folder: Folder of the videos in the workspace, or of a data set.
        kind: What was labelled there.
        preset: See `PRESETS`.
        is_prepared: Whether it is a data set, see `prepared_sets`.
        folds: Train so many times, so that each video is tested once; 0: train and test once.
        minutes: The budget of `auto`.
        goes_without: Whether to train without videos that are missing.
    """

    folder: str
    kind: Kind
    preset: str
    is_prepared: bool = False
    folds: int = 0
    minutes: int = 30
    goes_without: bool = False

    @classmethod
    def checked(cls, value: Any) -> Self:
        """A choice of what came over the network.

        Raises:
            DataError: It is none.
        """
        if not isinstance(value, dict) or not isinstance(value.get("folder"), str):
            raise DataError("expected the folder of the videos")
        kind = value.get("kind")
        if kind not in PRESETS or value.get("preset") not in PRESETS[kind]:
            raise DataError("expected a preset for events or for clips")
        return cls(
            folder=value["folder"],
            kind=kind,
            preset=value["preset"],
            is_prepared=value.get("is_prepared") is True,
            folds=_whole(value, "folds", _MOST_FOLDS),
            minutes=max(1, _whole(value, "minutes", _MOST_MINUTES)),
            goes_without=value.get("goes_without") is True,
        )

    @property
    def data(self) -> str:
        """Folder of the prepared data set: one for each way of preparing the same labels."""
        if self.is_prepared:
            return _path(self.folder)
        ways = [word.strip("-") for word in _PREPARED.get(self.preset, ()) if word != "--size"]
        ways += ["folds"] if self._takes_folds else []
        return f"{DATA}/" + "-".join([_own_name(self.folder), self.kind, *ways])

    def check(self, workspace: Workspace) -> Job:
        """The job that reads all videos and reports on them; of a data set the report is there.

        Raises:
            DataError: There is no table of labels yet, or no data set.
        """
        if self.is_prepared:
            _expect_prepared(workspace, self.folder)
            return Job(title=f"report on {self._place}", steps=(), data=self.data)
        steps = [("prepare", "--check", *self._source(workspace))]
        return Job(title=f"check of {self._place}", steps=tuple(steps), data=f"{self.data}/check")

    def training(self, workspace: Workspace) -> Job:
        """The job that prepares, trains and tests.

        Raises:
            MissingError: Videos are, and nobody said to go on without them.
            DataError: There is no table of labels yet, or no data set.
        """
        name = _slug(self.folder.removeprefix(f"{DATA}/"))
        run = _free(workspace, f"runs/{name}-{self.preset}")
        config = ["--config", self.preset, "--data", self.data]
        if self.preset == "auto":
            config += ["--budget", f"{self.minutes}m"]
        prepare: Sequence[Sequence[str]] = ()
        if self.is_prepared:
            _expect_prepared(workspace, self.folder)
        else:
            prepare = (("prepare", *self._source(workspace)),)
            self._expect_enough(workspace)
            self._expect_all(workspace)
        train: Sequence[Sequence[str]] = (("train", *config, "--run", run), ("evaluate", run))
        if self.folds:
            folds = ("--split.folds", str(self.folds))
            train = (("crossval", *config, *folds, "--out", run),)
        return Job(
            title=f"{self.preset} on {self._place}",
            steps=tuple(map(tuple, (*prepare, *train))),
            run=run,
            data=self.data,
        )

    @property
    def _takes_folds(self) -> bool:
        """Whether folds are cut out of the data set, and none of it is held out to choose by."""
        return self.folds > 0 or self.preset == "auto"

    @property
    def _place(self) -> str:
        return self.folder or "this folder"

    def _expect_enough(self, workspace: Workspace) -> None:
        """Makes sure that there are recordings to learn from, to choose by and to test on."""
        if self.kind != "events":
            return
        found = EventsTable(workspace.folder(self.folder)).read(workspace.videos(self.folder))
        number, least = sum(each.is_listed for each in found.values()), max(3, self.folds)
        if number < least:
            raise DataError(
                f"{self._place}: label {least} recordings or more, so that some are left to test "
                f"on. There are {number} so far"
            )

    def _expect_all(self, workspace: Workspace) -> None:
        """Makes sure that the videos are there, or that somebody goes on without some."""
        missing = self._missing(workspace)
        if missing.names and not self.goes_without:
            kind = "recording" if self.kind == "events" else "clip"
            raise MissingError(
                f"{self._place}: {len(missing.names)} of {counted(missing.total, kind)} in its "
                f"table cannot be found or read: {listed(missing.names)}. Bring them back, or "
                "train without them"
            )

    def _missing(self, workspace: Workspace) -> Missing:
        find = Missing.of_events if self.kind == "events" else Missing.of_clips
        return find(self._table(workspace))

    def _table(self, workspace: Workspace) -> Path:
        table = workspace.folder(self.folder) / (EVENTS if self.kind == "events" else CLIPS)
        if not table.is_file():
            raise DataError(f"{self._place}: there are no labels yet. Label some videos first")
        return table

    def _source(self, workspace: Workspace) -> tuple[str, ...]:
        table = self._table(workspace)
        words = ["--source", "events" if self.kind == "events" else "csv"]
        words += ["--path", f"{_path(self.folder or '.')}/{table.name}"]
        if self.kind == "events" and _has_points(table.parent, workspace.videos(self.folder)):
            words += ["--point-seconds", "1"]
        if not self._takes_folds:
            words += ["--val-fraction", "0.15"]
        words += self._missing(workspace).options
        return (*words, *_PREPARED.get(self.preset, ()), "--out", self.data)


def prepared_sets(workspace: Workspace) -> list[tuple[str, Kind]]:
    """Data sets that were prepared in the workspace: their folders, and what is labelled there."""
    folder = workspace.root / DATA
    names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    found: list[tuple[str, Kind]] = []
    for name in names:
        with contextlib.suppress(PipelineError):  # Not prepared, not finished, or not in here.
            place = f"{DATA}/{name}"
            found.append((place, _kind_of(workspace.folder(place))))
    return found


def _kind_of(data: Path) -> Kind:
    return "events" if describe_prepared(data).labelling == "frames" else "clips"


def _expect_prepared(workspace: Workspace, folder: str) -> None:
    """Makes sure that a data set is there and whole."""
    _kind_of(workspace.folder(folder))


def _path(folder: str) -> str:
    """A folder as a word that reads as no option."""
    return f"./{folder}" if folder.startswith("-") else folder


def _has_points(folder: Path, videos: Sequence[str]) -> bool:
    found = EventsTable(folder).read(videos).values()
    return any(event.end is None for each in found for event in each.events)


def _slug(folder: str) -> str:
    """A name for a folder that any system can have.

    Example:
        >>> _slug("Lab 1/Tag öffnen"), _slug("")
        ('Lab_1-Tag_ffnen', 'videos')
    """
    parts = (re.sub(r"[^A-Za-z0-9_-]", "", part.replace(" ", "_")) for part in folder.split("/"))
    return "-".join(filter(None, parts))[:60] or "videos"


def _own_name(folder: str) -> str:
    """As `_slug`, but no other folder has it.

    Example:
        >>> _own_name("Lab_1"), _own_name("Lab 1"), _own_name(""), _own_name("videos")
        ('Lab_1', 'Lab_1-fca379', 'videos', 'videos-26760e')
    """
    name = _slug(folder)
    if not folder or (name == folder and folder != _slug("")):
        return name
    return f"{name}-{hashlib.sha256(folder.encode()).hexdigest()[:6]}"


def _free(workspace: Workspace, name: str) -> str:
    """A name in the workspace that is free: this one with the next number."""
    numbered = (f"{name}-{number}" for number in itertools.count(1))
    return next(each for each in numbered if not (workspace.root / each).exists())


def _whole(value: dict[str, Any], name: str, most: int) -> int:
    number = value.get(name, 0)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise DataError(f"{name}: expected a whole number from 0 to {most}")
    return number
