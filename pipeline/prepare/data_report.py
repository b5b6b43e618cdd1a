"""The report on a data set, as JSON types and as a page of Markdown, which is a template."""

from __future__ import annotations

import functools
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.manifest.rows import SPLITS, Manifest
from pipeline.prepare.leaks import describe_random_split, random_split
from pipeline.prepare.plan import Video
from pipeline.prepare.rate import MOST_FPS
from pipeline.sources.events.report import report_lines
from pipeline.text import code, counted, listed, markdown, visible

Held = dict[str, dict[str, float]]

FEW_PEOPLE: Final = 0.6
"""The mean flag of key points from which on they tell actions."""
_MOST_ITEMS = 20  # of a list on the page
_SPREADS: Final = {
    "duration_seconds": "length in seconds",
    "fps": "frames per second",
    "width": "width in pixels",
    "height": "height in pixels",
}


def describe(
    videos: Sequence[Video],
    leaks: Sequence[str],
    changes: dict[str, list[str]],
    copies: Sequence[str] = (),
    *,
    fps: float = MOST_FPS,
) -> dict[str, Any]:
    """Describes a data set.

    Args:
        videos: All videos, with splits; those of a mere check may have none.
        leaks: What `pipeline.prepare.leaks` found.
        changes: Names of the videos that were added, changed and removed since the last time.
        copies: Videos that are there more than once, but within one split and class.
        fps: Frames per second that are stored.

    Returns:
        What `data_report.json` holds.
    """
    kept = [video for video in videos if not video.problem]
    files = [video.file for video in kept]
    rows = [video.row for video in kept]
    manifest = Manifest(rows=tuple(video.row for video in videos))
    held = _held(kept, fps)
    described: dict[str, Any] = {
        "labelling": manifest.labelling,
        "total": _totals(kept),
        "splits": {split: _split(kept, split, held) for split in SPLITS},
        "imbalance": {},
        "duration_seconds": _spread([video.duration_seconds for video in kept]),
        "fps": _spread([file.fps for file in files]),
        "width": _spread([file.width for file in files]),
        "height": _spread([file.height for file in files]),
        "codecs": dict(Counter(file.codec for file in files).most_common()),
        "left_out": [
            {"video": video.name, "problem": video.problem, "reason": video.reason}
            for video in videos
            if video.problem
        ],
        "fewer_frames_than_declared": [
            {
                "video": video.name,
                "declared": video.declared_frames,
                "decoded": video.decoded_frames,
                "damaged": video.damaged,
            }
            for video in kept
            if _has_fewer(video)
        ],
        "pictures": [video.name for video in kept if _is_picture(video)],
        "repeating": [video.name for video in kept if _repeats(video)],
        "broken_clocks": [
            video.name for video in kept if video.file.damage and not _has_fewer(video)
        ],
        **_pose(kept),
        "changes": changes,
        "leaks": list(leaks),
        "copies": list(copies),
    }
    if any(row.split == "test" for row in rows):
        described["random_split"] = random_split(rows)
    described["splits"] = {name: value for name, value in described["splits"].items() if value}
    described["imbalance"] = _imbalance(described)
    return described


def _has_fewer(video: Video) -> bool:
    fewer = video.decoded_frames < (video.declared_frames or 0)
    return fewer and (video.damaged or video.missing_frames > 0)


def _pose(videos: Sequence[Video]) -> dict[str, Any]:
    """How sure it is that there is someone: of all frames, and the videos where it is hardly so."""
    looks = {video.name: video.look for video in videos}
    found = {name: look for name, look in looks.items() if look.pose_flag is not None}
    if not found:
        return {}
    frames = sum(look.num_frames for look in found.values())
    total = sum((look.pose_flag or 0) * look.num_frames for look in found.values())
    few = [name for name, look in found.items() if (look.pose_flag or 0) < FEW_PEOPLE]
    return {"pose": {"mean_flag": round(total / frames, 3), "few": few}}


def _repeats(video: Video) -> bool:
    """Whether more is stored than decodes, by more than rounding."""
    return video.look.num_frames > 1.02 * video.decoded_frames + 1


def _is_picture(video: Video) -> bool:
    """Whether a file shows one frame alone."""
    return video.look.num_frames == 1 and not video.row.is_trim


def _totals(videos: Sequence[Video]) -> dict[str, Any]:
    return {
        "videos": len(videos),
        "groups": len({video.row.group for video in videos}),
        "seconds": round(sum(video.duration_seconds for video in videos), 3),
    }


def _split(videos: Sequence[Video], split: str, held: Held) -> dict[str, Any]:
    classes: dict[str, list[Video]] = {}
    chosen = []
    for video in videos:
        if video.row.split == split:
            chosen.append(video)
            for label in video.row.labels:
                classes.setdefault(label, []).append(video)
    if not chosen:
        return {}
    return {
        **_totals(chosen),
        "classes": {
            name: {**_totals(classes[name]), **_marked(classes[name], name, held)}
            for name in sorted(classes)
        },
    }


def _held(videos: Sequence[Video], fps: float) -> Held:
    """For how many seconds each class holds in each recording, by its name."""
    found: Held = {}
    for video in videos:
        if video.row.annotation:
            names, number = video.row.labels, video.look.num_frames
            labels = video.row.annotation.by_frame(fps, names)(0, number)
            seconds = (labels == 1).sum(axis=0) * (video.duration_seconds / number)
            found[video.name] = dict(zip(names, seconds.tolist(), strict=True))
    return found


def _marked(videos: Sequence[Video], label: str, held: Held) -> dict[str, float]:
    """Of recordings, for how long a class holds in them."""
    if not held:
        return {}
    return {"seconds": round(sum(held[video.name][label] for video in videos), 3)}


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
    labels = {label for split in report["splits"].values() for label in split["classes"]}
    template = templates().get_template("data_report.md")
    page = template.render(
        report=report,
        kind=kind_of(report),
        num_left_out=len(left_out(report)),
        recordings_left_out=_recordings_left_out(report),
        labels=sorted(labels),
        spreads=_SPREADS,
        most=_MOST_ITEMS,
        few_people=FEW_PEOPLE,
    )
    return page.rstrip("\n") + "\n"


@functools.cache
def templates() -> Environment:
    """The templates of reports, whose filters make text of names and numbers."""
    environment = Environment(
        loader=PackageLoader("pipeline.prepare"),
        autoescape=False,  # noqa: S701  # They are text, in which filters write out what is markup.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": markdown, "code": code, "counted": counted, "time": _time}
    environment.filters |= {"both_counts": _both_counts, "listed": listed, "visible": visible}
    environment.filters |= {"random_split": describe_random_split, "report_lines": report_lines}
    return environment


def left_out(report: dict[str, Any]) -> list[str]:
    """What is left out, each with the reason: videos, and recordings that came to no video."""
    videos = [f"{video['video']}: {video['reason']}" for video in report["left_out"]]
    return [*videos, *_recordings_left_out(report)]


def _recordings_left_out(report: dict[str, Any]) -> list[str]:
    found: list[str] = report["events"]["left_out"] if "events" in report else []
    return found


def kind_of(report: dict[str, Any]) -> str:
    """What a report counts: `video` or `recording`."""
    return "recording" if report["labelling"] == "frames" else "video"


def _both_counts(video: dict[str, Any]) -> str:
    return f"{video['video']} ({video['decoded']} of {video['declared']} frames)"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
