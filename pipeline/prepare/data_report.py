"""The report on a data set, as JSON types and as a page of Markdown."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pipeline.manifest.rows import SPLITS, Manifest
from pipeline.prepare.leaks import Video, describe_random_split, random_split
from pipeline.prepare.plan import VideoReport
from pipeline.sources.events.report import report_lines
from pipeline.text import code, counted, markdown

FEW_PEOPLE: Final = 0.6
"""The mean flag of key points from which on they tell actions."""
_MOST_ITEMS = 20  # of a list on the page


def describe(
    videos: Sequence[Video],
    leaks: Sequence[str],
    changes: dict[str, list[str]],
    copies: Sequence[str] = (),
) -> dict[str, Any]:
    """Describes a data set.

    Args:
        videos: All videos, with splits; those of a mere check may have none.
        leaks: What `pipeline.prepare.leaks` found.
        changes: Names of the videos that were added, changed and removed since the last time.
        copies: Videos that are there more than once, but within one split and class.

    Returns:
        What `data_report.json` holds.
    """
    kept = [(source, report) for source, report in videos if not report.problem]
    reports = [report for _, report in kept]
    fewer = [report for report in reports if _has_fewer(report)]
    rows = [source.row for source, _ in kept]
    manifest = Manifest(rows=tuple(source.row for source, _ in videos))
    described: dict[str, Any] = {
        "labelling": manifest.labelling,
        "total": _totals(kept),
        "splits": {split: _split(kept, split, manifest.class_names) for split in SPLITS},
        "imbalance": {},
        "duration_seconds": _spread([report.duration_seconds for report in reports]),
        "fps": _spread([report.fps for report in reports]),
        "width": _spread([report.width for report in reports]),
        "height": _spread([report.height for report in reports]),
        "codecs": dict(Counter(report.codec for report in reports).most_common()),
        "left_out": [
            {"video": source.name, "problem": report.problem, "reason": report.reason}
            for source, report in videos
            if report.problem
        ],
        "fewer_frames_than_declared": [
            {
                "video": report.name,
                "declared": report.declared_frames,
                "decoded": report.decoded_frames,
                "damaged": report.damaged,
            }
            for report in fewer
        ],
        "repeating": [report.name for report in reports if _repeats(report)],
        "broken_clocks": [
            report.name for report in reports if report.damage and not _has_fewer(report)
        ],
        **_pose(reports),
        "changes": changes,
        "leaks": list(leaks),
        "copies": list(copies),
    }
    if any(row.split == "test" for row in rows):
        described["random_split"] = random_split(rows)
    described["splits"] = {name: value for name, value in described["splits"].items() if value}
    described["imbalance"] = _imbalance(described)
    return described


def _has_fewer(report: VideoReport) -> bool:
    fewer = report.decoded_frames < (report.declared_frames or 0)
    return fewer and (report.damaged or report.missing_frames > 0)


def _pose(reports: Sequence[VideoReport]) -> dict[str, Any]:
    """How sure it is that there is someone: of all frames, and the videos where it is hardly so."""
    found = [report for report in reports if report.pose_flag is not None]
    if not found:
        return {}
    frames = sum(report.stored_frames for report in found)
    total = sum((report.pose_flag or 0) * report.stored_frames for report in found)
    few = [report.name for report in found if (report.pose_flag or 0) < FEW_PEOPLE]
    return {"pose": {"mean_flag": round(total / frames, 3), "few": few}}


def _repeats(report: VideoReport) -> bool:
    """Whether more is stored than decodes, by more than rounding."""
    return report.stored_frames > 1.02 * report.decoded_frames + 1


def _totals(videos: Sequence[Video]) -> dict[str, Any]:
    return {
        "videos": len(videos),
        "groups": len({source.row.group for source, _ in videos}),
        "seconds": round(sum(report.duration_seconds for _, report in videos), 3),
    }


def _split(videos: Sequence[Video], split: str, class_names: Sequence[str]) -> dict[str, Any]:
    classes: dict[str, list[Video]] = {}
    chosen = []
    for video in videos:
        if video[0].row.split == split:
            chosen.append(video)
            for label in video[0].row.labels:
                classes.setdefault(label, []).append(video)
    if not chosen:
        return {}
    return {
        **_totals(chosen),
        "classes": {
            name: {**_totals(classes[name]), **_marked(classes[name], class_names.index(name))}
            for name in sorted(classes)
        },
    }


def _marked(videos: Sequence[Video], label: int) -> dict[str, float]:
    """Of recordings, for how long a class holds in them."""
    if not all(report.pieces for _, report in videos):
        return {}
    seconds = sum(
        sum(piece.counts[label] for piece in report.pieces)
        * (report.duration_seconds / report.stored_frames)
        for _, report in videos
    )
    return {"seconds": round(seconds, 3)}


def _imbalance(described: dict[str, Any]) -> dict[str, Any] | None:
    """Classes with the most and the fewest training videos; of recordings, the most time."""
    classes = described["splits"].get("train", {"classes": {}})["classes"]
    key = "seconds" if described["labelling"] == "frames" else "videos"
    amounts = {name: entry[key] for name, entry in classes.items() if entry[key]}
    if not amounts:
        return None
    most, fewest = max(amounts, key=amounts.__getitem__), min(amounts, key=amounts.__getitem__)
    return {"most": most, "fewest": fewest, "ratio": round(amounts[most] / amounts[fewest], 2)}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }


def as_markdown(report: dict[str, Any]) -> str:
    """The report of `describe` as one page."""
    kind = kind_of(report)
    return "\n".join(
        [
            "# Data report",
            "",
            f"{_counts(report['total'], kind)}; {len(left_out(report))} left out.",
            "",
            *_class_table(report["splits"], kind),
            *_spreads(report),
            *_events(report),
            *_section("Leaks", map(markdown, report["leaks"]), "None between splits or labels."),
            *_random(report),
            *_section("Copies", map(markdown, report["copies"]), "None within a split and class."),
            *_section("Left out", _left_out(report)),
            *_section("Fewer frames than declared", _fewer(report)),
            *_behind(report),
            *_people(report),
            *_section("Fewer frames a second than stored", map(code, report["repeating"])),
            *_section("Clocks that jump", map(code, report["broken_clocks"])),
            *_changes(report["changes"]),
        ]
    )


def left_out(report: dict[str, Any]) -> list[str]:
    """What is left out, each with the reason: videos, and recordings that came to no video."""
    videos = [f"{video['video']}: {video['reason']}" for video in report["left_out"]]
    return [*videos, *_recordings_left_out(report)]


def _recordings_left_out(report: dict[str, Any]) -> list[str]:
    found: list[str] = report["events"]["left_out"] if "events" in report else []
    return found


def _left_out(report: dict[str, Any]) -> Iterable[str]:
    for video in report["left_out"]:
        yield f"{code(video['video'])}: {markdown(video['reason'])}"
    yield from map(markdown, _recordings_left_out(report))


def kind_of(report: dict[str, Any]) -> str:
    """What a report counts: `video` or `recording`."""
    return "recording" if report["labelling"] == "frames" else "video"


def _counts(totals: dict[str, Any], kind: str) -> str:
    videos, groups = counted(totals["videos"], kind), counted(totals["groups"], "group")
    return f"{videos} of {groups}, {_time(totals['seconds'])}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _class_table(splits: dict[str, Any], kind: str) -> list[str]:
    """A line a class; for each split videos, groups and time."""
    if not splits:
        return []
    labels = sorted({label for split in splits.values() for label in split["classes"]})
    head = " | ".join(f"{name}: {kind}s | groups | time" for name in splits)
    lines = [f"| class | {head} |", "| --- |" + " ---: | ---: | ---: |" * len(splits)]
    for label in [*labels, ""]:
        cells = []
        for split in splits.values():
            entry = split["classes"].get(label) if label else split
            values = (entry["videos"], entry["groups"], _time(entry["seconds"])) if entry else ()
            cells += [str(value) for value in values] or ["–"] * 3
        lines.append(f"| {markdown(label) or '**all**'} | {' | '.join(cells)} |")
    return [*lines, ""]


def _spreads(report: dict[str, Any]) -> list[str]:
    names = {
        "duration_seconds": "length in seconds",
        "fps": "frames per second",
        "width": "width in pixels",
        "height": "height in pixels",
    }
    lines = ["| | least | median | most |", "| --- | ---: | ---: | ---: |"]
    for key, name in names.items():
        if report[key]:
            lines.append(f"| {name} | {' | '.join(f'{x:g}' for x in report[key].values())} |")
    codecs = ", ".join(f"{markdown(name)} ({number})" for name, number in report["codecs"].items())
    lines += ["", f"Codecs: {codecs or 'none'}.", ""]
    if report["imbalance"]:
        most, fewest, ratio = report["imbalance"].values()
        much, many = ("much", "time") if kind_of(report) == "recording" else ("many", "videos")
        text = f"{code(most)} has {ratio:g} times as {much} training {many} as {code(fewest)}"
        text = text if ratio > 1 else f"none, all classes have as {much} training {many}"
        lines += [f"Imbalance: {text}.", ""]
    return lines


def _section(title: str, found: Iterable[str], nothing: str = "None.") -> list[str]:
    """A heading and a list, whose lines are Markdown already."""
    lines = list(found)
    items = [f"- {line}" for line in lines[:_MOST_ITEMS]] or [nothing]
    if len(lines) > _MOST_ITEMS:
        items.append(f"- and {len(lines) - _MOST_ITEMS:,} more, all of them in `data_report.json`")
    return [f"## {title}", "", *items, ""]


def _events(report: dict[str, Any]) -> list[str]:
    """Each recording, and below it what files of events say of it."""
    if "events" not in report:
        return []
    lines = [
        f"  - {markdown(line.strip())}" if line.startswith(" ") else f"- {code(line)}"
        for line in report_lines(report["events"])
    ]
    return ["## Events", "", *lines, ""]


def _random(report: dict[str, Any]) -> list[str]:
    if "random_split" not in report:
        return []
    text = describe_random_split(report["random_split"])
    return [f"For comparison, {text}.", ""]


def _fewer(report: dict[str, Any]) -> list[str]:
    """Damaged videos first: a frame or two too few is the rule rather than damage."""
    videos = sorted(report["fewer_frames_than_declared"], key=lambda video: not video["damaged"])
    return [
        f"{code(video['video'])}: {video['decoded']} of {video['declared']} frames"
        + (", damaged or shorter than asked" if video["damaged"] else "")
        for video in videos
    ]


def _behind(report: dict[str, Any]) -> list[str]:
    """Of recordings that end earlier than their file declares."""
    lines = [
        f"{code(each['video'])}: {counted(each['events'], 'event')} behind {each['seconds']:g} s"
        for each in report.get("events_behind", ())
    ]
    return _section("Events that end behind what can be read", lines) if lines else []


def _people(report: dict[str, Any]) -> list[str]:
    """Of key points, where they are stored."""
    if "pose" not in report:
        return []
    head = f"Videos in which key points are hardly found (mean flag below {FEW_PEOPLE:g})"
    text = f"Mean flag of the key points of all frames: {report['pose']['mean_flag']:.2f}."
    return [*_section(head, map(code, report["pose"]["few"])), text, ""]


def _changes(changes: dict[str, list[str]]) -> list[str]:
    lines = [f"{kind}: {', '.join(map(code, names))}" for kind, names in changes.items() if names]
    return _section("Since the last time", lines) if lines else []
