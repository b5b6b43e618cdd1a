"""Results of runs that answer at every frame or with several labels, as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.cli.scores import format_metrics, interval_text, leak_lines
from pipeline.evaluation.metrics import CAUTION
from pipeline.text import clock, counted

_BOTH = ("human", "machine")
_LONGEST_NAME = 24


def format_result(result: dict[str, Any], split: str) -> str:
    """The result of `evaluate` as text for a terminal, of any task."""
    if "frames" in result:
        return format_frame_metrics(result, split)
    if "videos" in result:
        return format_label_metrics({**result, **result["videos"]}, split)
    return format_metrics(result, split)


def format_frame_metrics(result: Mapping[str, Any], split: str) -> str:
    """What `score_recordings` gives, and `leaks` if there are any, as text for a terminal."""
    frames = result["frames"]
    recordings = counted(frames["num_recordings"], "recording")
    unknown = frames["num_unknown_frames"]
    lines = [
        f"{split}: {recordings} of {counted(frames['num_groups'], 'group')}, "
        f"{counted(frames['num_frames'], 'frame')} in {clock(frames['seconds'])}"
        + (f"; of {counted(unknown, 'more frame')} nothing is known" if unknown else ""),
        *CAUTION.get(split, []),
        *leak_lines(result.get("leaks", [])),
        *_score_lines("frames    ", frames, all_right=not frames["exclusive"]),
        *_segment_lines(result["segments"], frames["background"]),
        "",
        *_class_table(frames["per_class"], result["bouts"]),
    ]
    return "\n".join(lines)


def format_label_metrics(scores: Mapping[str, Any], split: str) -> str:
    """What `video_scores` gives, and `leaks` if there are any, as text for a terminal."""
    videos, groups = counted(scores["num_videos"], "video"), counted(scores["num_groups"], "group")
    lines = [
        f"{split}: {videos} of {groups}",
        *CAUTION.get(split, []),
        *leak_lines(scores.get("leaks", [])),
        *_score_lines("videos    ", scores, all_right=True),
        "",
        *_class_table(scores["per_class"], None),
    ]
    return "\n".join(lines)


def _score_lines(title: str, scores: Mapping[str, Any], *, all_right: bool) -> list[str]:
    name = "all labels right" if all_right else "accuracy"
    interval = interval_text(scores["accuracy_interval95"])
    lines = [
        f"{title}{name} {scores['accuracy']:.3f} ({interval})   chance {scores['chance']:.3f}",
        f"{'':10}{_means(scores, '')}   kappa {_number(scores['kappa'])}",
    ]
    if scores.get("background"):
        means = _means(scores, "_without_background")
        lines.append(f"{'':10}without {scores['background']}: {means}")
    return lines


def _means(scores: Mapping[str, Any], which: str) -> str:
    f1, precision = (scores[f"{key}{which}"] for key in ("macro_f1", "mean_average_precision"))
    return f"macro F1 {_number(f1)}   mean average precision {_number(precision)}"


def _segment_lines(segments: Mapping[str, Any], background: str) -> list[str]:
    number = segments["num_segments"]
    lines = [f"segments  {_overlaps(segments)}"]
    if background:
        lines.append(f"{'':10}with {background}: {_overlaps(segments['with_background'])}")
    human, matched = counted(number["human"], "segment"), f"{number['matched']:,}"
    lines.append(f"{'':10}human {human}, machine {number['machine']:,}, {matched} match by half")
    if number["matched"]:
        late = " and ".join(
            f"{edge} within {_number(error['median_absolute'], 2)} s (mean {error['mean']:+.2f} s)"
            for edge in ("start", "end")
            for error in [segments[f"{edge}_error_seconds"]]
        )
        lines.append(f"{'':10}half of these {late}")
    return lines


def _overlaps(scores: Mapping[str, Any]) -> str:
    shown = "   ".join(f"F1@{at} {scores[f'f1_{at}']:.3f}" for at in (10, 25, 50))
    return f"{shown}   edit {scores['edit']:.1f}"


def _class_table(
    per_class: Mapping[str, Mapping[str, Any]], bouts: Mapping[str, Any] | None
) -> list[str]:
    """A line a class; with bouts of human and machine, and how their lengths correlate."""
    width = min(_LONGEST_NAME, max(len("class"), *map(len, per_class)))
    more = f"  {'bouts':>9}  {'seconds':>13}  {'r':>5}" if bouts else ""
    lines = [f"{'class':{width}}  share  precision  recall     F1     AP{more}"]
    for name, row in per_class.items():
        shown = name if len(name) <= width else f"{name[: width - 1]}…"
        numbers = "  ".join(
            f"{_number(row[key]):>{columns}}"
            for key, columns in (
                *(("share", 5), ("precision", 9), ("recall", 6)),
                *(("f1", 5), ("average_precision", 5)),
            )
        )
        lines.append(f"{shown:{width}}  {numbers}{_bout_columns(name, bouts)}")
    if bouts:
        lines.append("bouts, seconds: human/machine; r: correlation of the seconds over recordings")
    return lines


def _bout_columns(name: str, bouts: Mapping[str, Any] | None) -> str:
    if not bouts or name not in bouts["agreement"]:
        return ""
    count, seconds = (
        [sum(row["classes"][name][who][key] for row in bouts["recordings"]) for who in _BOTH]
        for key in ("count", "total_seconds")
    )
    r = _number(bouts["agreement"][name]["total_seconds"]["correlation"], 2)
    shown = f"{count[0]}/{count[1]}", f"{seconds[0]:.1f}/{seconds[1]:.1f}"
    return f"  {shown[0]:>9}  {shown[1]:>13}  {r:>5}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
