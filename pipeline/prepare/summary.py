"""Summaries of a preparation, or a check, to print."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline.manifest.rows import SPLITS, Row
from pipeline.prepare.data_report import FEW_PEOPLE, kind_of, left_out, templates
from pipeline.prepare.prepared import PreparedDataset
from pipeline.prepare.rate import MOST_FPS
from pipeline.sources.events.event import LOST
from pipeline.text import counted, listed

_MOST_LINES = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """The result of a preparation; as text, a summary to print.

    Attributes:
        store: The prepared data set.
        up_to_date: Whether it was there already, so that nothing was done.
        num_decoded: Video files of which frames were stored now.
        freed: Bytes of frames that nothing needed any more, which were removed; None: they stay.
    """

    store: PreparedDataset
    up_to_date: bool = False
    num_decoded: int = 0
    freed: int | None = None

    def __str__(self) -> str:
        store = self.store
        rows, kind = store.manifest.rows, kind_of(store.report)
        return _text(
            store.report,
            store.settings.get("classes", ()),
            store=store,
            up_to_date=self.up_to_date,
            num_decoded=self.num_decoded,
            freed=self.freed,
            splits={split: [row for row in rows if row.split == split] for split in SPLITS},
            counts=lambda rows: _counts(rows, store.class_names, kind),
            kind=kind,
            is_slow=not store.settings.get("fps") and store.frames.fps < MOST_FPS,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The result of a check; as text, a summary to print.

    Attributes:
        report: What `data_report.json` holds.
        folder: Where it lies.
        obstacle: Why the videos could not be prepared so; empty: they could.
    """

    report: dict[str, Any]
    folder: Path
    obstacle: str

    def __str__(self) -> str:
        return _text(self.report, store=None, folder=self.folder, obstacle=self.obstacle)


def _text(report: dict[str, Any], classes: Collection[str] = (), **facts: object) -> str:
    """The template of both, filled in; where classes were chosen, of their events."""
    events = report.get("events", {"recordings": [], "unusable": []})
    taken = classes or {label for row in events["recordings"] for label in row["events"]}
    counts = [
        row["events"][label]["count"]
        for row in events["recordings"]
        for label in row["events"]
        if label in taken
    ]
    notices: dict[str, list[str]] = {}
    for row in (*events["recordings"], *events["unusable"]):
        for kind, texts in row["notices"].items():
            notices.setdefault(kind, []).extend(texts)
    template = templates().get_template("summary.txt")
    text = template.render(
        report=report,
        left_out=left_out(report),
        num_events=sum(counts),
        notices=sorted(notices.items(), key=lambda each: -len(each[1])),
        lost=LOST,
        few_people=FEW_PEOPLE,
        most=_MOST_LINES,
        **facts,
    )
    return text.rstrip("\n")


def _counts(rows: Sequence[Row], class_names: Sequence[str], kind: str) -> str:
    found = {label for row in rows for label in row.labels}
    missing = [name for name in class_names if name not in found]
    without = f" (none of {listed(missing)})" if missing else ""
    classes = f"{len(found)} class{'' if len(found) == 1 else 'es'}{without}"
    groups = counted(len({row.group for row in rows}), "group")
    return f"{counted(len(rows), kind)}, {classes}, {groups}"
