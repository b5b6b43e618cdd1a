"""Results of evaluation, as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.evaluation.intervals import FEWEST_GROUPS
from pipeline.evaluation.metrics import CAUTION
from pipeline.text import counted, listed


def format_metrics(result: dict[str, Any], split: str) -> str:
    """The result of `evaluate` as text for a terminal."""
    views = result["num_views"]
    clips = f"{counted(views, 'clip')} a video"
    videos, groups = counted(result["num_videos"], "video"), counted(result["num_groups"], "group")
    lines = [
        f"{split}: {videos} of {groups}, {clips}",
        *CAUTION.get(split, []),
        *leak_lines(result.get("leaks", [])),
        f"video  {_accuracy(result, 'video')}   chance {result['chance']:.3f}",
        f"clip   {_accuracy(result, 'clip')}",
        "",
        *_class_table(result["per_class"], result["macro"]),
        "",
        *_calibration_lines(result["calibration"]),
        *_unknown_lines(result.get("unknown")),
        *_length_lines(result["lengths"]),
        *_order_lines(result["order"]),
    ]
    return "\n".join(lines)


def leak_lines(leaks: Sequence[str]) -> list[str]:
    """What to say before the figures, where there are leaks between splits."""
    if not leaks:
        return []
    count = counted(len(leaks), "leak")
    return [f"these figures are not to be believed: {count} between splits, such as: {leaks[0]}"]


def _accuracy(result: dict[str, Any], level: str) -> str:
    values = result[level]
    # Of five classes or fewer, the first five answers always hold the right one.
    top5 = f"   top-5 {values['top5']:.3f}" if len(result["per_class"]) > 5 else ""
    return f"{top1_text(values)}{top5}"


def top1_text(values: dict[str, Any]) -> str:
    """The accuracy `top1`, with its interval, or why there is none."""
    return f"top-1 {values['top1']:.3f} ({interval_text(values['top1_interval95'])})"


def interval_text(interval: Sequence[float] | None) -> str:
    """An interval over groups, or why there is none."""
    if not interval:
        return f"no interval: it takes {FEWEST_GROUPS} groups or more"
    return f"95 % interval over groups {interval[0]:.3f} to {interval[1]:.3f}"


def _class_table(per_class: dict[str, dict[str, Any]], macro: dict[str, float]) -> list[str]:
    width = max(len("macro"), *map(len, per_class))
    lines = [f"{'class':{width}}  videos  precision  recall     F1"]
    total = sum(row["num_videos"] for row in per_class.values())
    for name, row in (*per_class.items(), ("macro", {**macro, "num_videos": total})):
        numbers = "  ".join(
            f"{'–' if row[key] is None else format(row[key], '.3f'):>{width_of}}"
            for key, width_of in (("precision", 9), ("recall", 6), ("f1", 5))
        )
        lines.append(f"{name:{width}}  {row['num_videos']:6d}  {numbers}")
    return lines


def _calibration_lines(calibration: dict[str, Any]) -> list[str]:
    after = f"expected calibration error {calibration['error_after']:.3f}"
    if not calibration["num_videos"]:
        return [f"{after}, not calibrated: there were no validation videos"]
    fitted = f"fitted on {counted(calibration['num_videos'], 'validation video')}"
    before, temperature = calibration["error_before"], calibration["temperature"]
    lines = [f"{after} (before: {before:.3f}), temperature {temperature:.2f}, {fitted}"]
    if calibration["logit_threshold"] is not None:
        right = calibration["top1_answered"]
        share = "" if right is None else f", of which {right:.3f} are right"
        lines.append(
            f"answered with a highest logit of {calibration['logit_threshold']:.2f} or more: "
            f"{calibration['answered']:.3f}{share}; the others: unknown"
        )
    return lines


def _unknown_lines(unknown: dict[str, Any] | None) -> list[str]:
    if not unknown:
        return []
    videos = counted(unknown["num_videos"], "video")
    found = f"AUROC {unknown['auroc']:.3f}, answered unknown {unknown['rejected']:.3f}"
    return [f"{videos} of other classes ({listed(unknown['classes'])}): {found}"]


def _length_lines(lengths: Sequence[dict[str, Any]]) -> list[str]:
    shown = "   ".join(f"{each['num_frames']}: {each['top1']:.3f}" for each in lengths)
    return [f"top-1 of one clip by its number of frames   {shown}"]


def _order_lines(order: dict[str, Any]) -> list[str]:
    shown = "   ".join(f"{key.replace('_', ' ')} {order[key]:.3f}" for key in list(order)[:3])
    lines = [f"top-1 with the frames {shown}"]
    if "pairs" in order:
        pairs = order["pairs"]
        two_way = "   ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in pairs["two_way"].items())
        lines += [
            f"order pairs ({pairs['num_videos']} videos): which of the two, {two_way}",
            f"reversing the frames gives the partner action for {pairs['reversed_to_partner']:.3f}",
        ]
    return lines
