"""Summaries of a preparation, or a check, to print."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.manifest.rows import SPLITS, Row
from pipeline.prepare.data_report import FEW_PEOPLE, kind_of, left_out
from pipeline.prepare.leaks import describe_random_split
from pipeline.prepare.prepared import Store
from pipeline.prepare.rate import MOST_FPS
from pipeline.sources.events.event import LOST
from pipeline.text import counted, listed, visible

_MOST_LINES = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """The result of a preparation; as text, a summary to print.

    Attributes:
        store: The prepared data set.
        up_to_date: Whether it was there already, so that nothing was done.
    """

    store: Store
    up_to_date: bool

    def __str__(self) -> str:
        store = self.store
        state = "is up to date" if self.up_to_date else "is ready"
        kind = kind_of(store.report)
        lines = [f"{store.path} {state}: {_counts(store.manifest.rows, store.class_names, kind)}"]
        for split in SPLITS:
            rows = [row for row in store.manifest.rows if row.split == split]
            if rows:
                lines.append(f"  {split:<5}  {_counts(rows, store.class_names, kind)}")
        if not store.settings.get("fps") and store.frames.fps < MOST_FPS:
            rate = f"{store.frames.fps:g} frames a second"
            lines.append(f"{rate} are stored, as many as nearly all videos have (--fps)")
        lines += [] if self.up_to_date else _changes(store.report["changes"])
        lines += _damaged(store.report)
        lines += _findings(store.report)
        number, others = len(store.report["left_out"]), left_out(store.report)
        if number or not others:
            count = counted(number, kind)
            lines.append(f"{count} left out, listed in {store.path / 'quarantine.csv'}")
        return "\n".join(lines)


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
        report = self.report
        total = report["total"]
        readable = counted(total["videos"], "readable video")
        lines = [f"{readable}, {len(left_out(report))} that would be left out"]
        lines += _some([f"  {reason}" for reason in left_out(report)])
        fewer = report["fewer_frames_than_declared"]
        lines.append(f"{counted(len(fewer), 'video')} with fewer frames than declared")
        lines += _some([f"  {_both_counts(video)}" for video in fewer])
        lines += _findings(report)
        lines.append(f"written: {self.folder / 'data_report.md'}")
        lines += [self.obstacle] if self.obstacle else []
        return "\n".join(lines)


def _counts(rows: Sequence[Row], class_names: Sequence[str], kind: str) -> str:
    found = {label for row in rows for label in row.labels}
    missing = [name for name in class_names if name not in found]
    without = f" (none of {listed(missing)})" if missing else ""
    classes = f"{len(found)} class{'' if len(found) == 1 else 'es'}{without}"
    groups = counted(len({row.group for row in rows}), "group")
    return f"{counted(len(rows), kind)}, {classes}, {groups}"


def _changes(changes: dict[str, list[str]]) -> list[str]:
    parts = [f"{len(names)} {kind}" for kind, names in changes.items() if names]
    return [f"since the last time: {', '.join(parts)}"] if parts else []


def _damaged(report: dict[str, Any]) -> list[str]:
    fewer = report["fewer_frames_than_declared"]
    damaged = [_both_counts(video) for video in fewer if video["damaged"]]
    lines = []
    if len(fewer) > len(damaged):
        count = counted(len(fewer) - len(damaged), "video")
        lines.append(f"{count} with a few frames fewer than declared")
    if damaged:
        names = listed(damaged, most=3)
        lines.append(f"{len(damaged)} damaged or shorter than asked, kept with what is: {names}")
    return lines


def _both_counts(video: dict[str, Any]) -> str:
    return f"{video['video']} ({video['decoded']} of {video['declared']} frames)"


def _findings(report: dict[str, Any]) -> list[str]:
    """No test, rates, clocks, leaks, copies, and what a random split would have leaked."""
    lines = _events(report["events"]) if "events" in report else []
    if report["splits"] and "test" not in report["splits"]:
        lines.append("no test videos: see --test-fraction, --test-groups, --folds and --fold")
    if behind := report.get("events_behind"):
        events = counted(sum(each["events"] for each in behind), "event")
        names = listed([each["video"] for each in behind], most=3)
        lines.append(f"of recordings cut short, {events} end behind what can be read: {names}")
    if repeating := report["repeating"]:
        videos = counted(len(repeating), "video")
        fewer = f"{videos} of fewer frames a second than are stored, so that some repeat"
        lines.append(f"{fewer}: {listed(repeating, most=3)}")
    if clocks := report["broken_clocks"]:
        names = listed(clocks, most=3)
        lines.append(f"{len(clocks)} with a clock that jumps, kept without the gaps: {names}")
    lines += _people(report)
    if report["leaks"]:
        lines.append(f"{counted(len(report['leaks']), 'leak')} between splits or labels")
        lines += _some([f"  {leak}" for leak in report["leaks"]])
    if report["copies"]:
        copies = counted(len(report["copies"]), "video")
        lines.append(f"{copies} more than once in a split and class, listed in data_report.md")
    if "random_split" in report and report["random_split"]["beside_their_group"]:
        lines.append(describe_random_split(report["random_split"]))
    return lines


def _people(report: dict[str, Any]) -> list[str]:
    """Of key points, where they are stored."""
    pose = report.get("pose")
    if not pose:
        return []
    lines = [f"key points: mean flag {pose['mean_flag']:.2f}"]
    if pose["few"]:
        videos = counted(len(pose["few"]), "video")
        lines[0] += f", below {FEW_PEOPLE:g} in {videos}: {listed(pose['few'], most=3)}"
    if pose["mean_flag"] < FEW_PEOPLE:
        lines.append("key points are hardly found: streams other than pose will do better")
    return lines


def _events(found: dict[str, Any]) -> list[str]:
    """How many events were found in how many recordings, and what is to be known of them."""
    rows = found["recordings"]
    events = sum(label["count"] for row in rows for label in row["events"].values())
    lines = [f"{counted(len(rows), 'recording')} with {counted(events, 'event')}"]
    if found["unmatched"]:
        count = counted(len(found["unmatched"]), "recording")
        lines.append(f"{count} left out: their video is not there or cannot be read")
    if unusable := found["unusable"]:
        names = listed([row["media"] for row in unusable], most=3)
        count = counted(len(unusable), "recording")
        lines.append(f"{count} left out, of whose events none can be used: {names}")
    kinds: Counter[str] = Counter()
    for row in (*rows, *unusable):
        kinds.update({kind: len(texts) for kind, texts in row["notices"].items()})
    numbers = kinds.most_common()
    lines += [f"  {counted(n, 'event')} {LOST[kind]}" for kind, n in numbers if kind in LOST]
    told = [f"{kind} {n:,}" for kind, n in numbers if kind not in (*LOST, "left out")]
    lines += [f"  {', '.join(told)}; data_report.md names them"] if told else []
    return lines


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MOST_LINES
    return [*map(visible, lines[:_MOST_LINES]), *([f"  and {more} more"] if more > 0 else [])]
