"""Findings about the videos: kept in files, and refused where it must be."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import DataError
from pipeline.manifest.rows import TRIM, relative_path
from pipeline.prepare import leaks
from pipeline.prepare.data_report import as_markdown, describe, left_out
from pipeline.prepare.plan import Video
from pipeline.text import counted, listed, visible


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """Duplicates, leaks and left-out videos.

    Attributes:
        videos: All videos, in the order of their names.
        duplicates: Those that are the same, or nearly.
        leaks: What of the test is also in training, in sentences.
        report: What `data_report.json` holds.
    """

    videos: list[Video]
    duplicates: list[leaks.Duplicate]
    leaks: list[str]
    report: dict[str, Any]


def examine(
    videos: Sequence[Video],
    fps: float,
    changes: dict[str, list[str]] | None = None,
    *,
    annotations: Mapping[str, Any],
) -> Findings:
    """Sums up the reports on videos, with what changed since the last preparation.

    Their frames are stored at `fps`. What files of events say of the videos,
    `Manifest.annotations`, is a part of the report.
    """
    videos = sorted(videos, key=lambda video: video.name)
    duplicates = leaks.duplicates([video for video in videos if not video.problem])
    found = [*leaks.crossing(video.row for video in videos), *leaks.leaking(duplicates)]
    report = describe(videos, found, changes or {}, leaks.harmless(duplicates), fps=fps)
    if annotations:
        report["events"] = dict(annotations)
        report["events_behind"] = _events_behind(videos, fps)
    return Findings(videos=videos, duplicates=duplicates, leaks=found, report=report)


def _events_behind(videos: Sequence[Video], fps: float) -> list[dict[str, Any]]:
    """The recordings in which events end behind what decodes, by more than rounding."""
    found = []
    for video in videos:
        if not video.row.annotation or video.problem:
            continue
        seconds = video.look.num_frames / fps
        most = seconds + 2 / min(fps, video.file.fps)
        number = sum(end > most for _, end, _ in video.row.annotation.events)
        if number:
            found.append({"video": video.name, "events": number, "seconds": round(seconds, 3)})
    return found


def check_findings(found: Findings, config: PrepareConfig, partial: Path, *, root: Path) -> None:
    """Writes what was found, and makes sure that the videos can be used as they are.

    Raises:
        DataError: They have leaks, or too many of them are left out.
    """
    write_findings(partial, found.videos, found.report, root=root)
    refuse_leaks(found.leaks, config, f"; {partial / 'data_report.json'} names all")
    too_many = too_many_bad(found.report, config)
    if too_many:
        names = listed(left_out(found.report), most=3)
        raise DataError(f"{too_many}; {partial / 'data_report.md'} says why: {names}")


class LeakError(DataError):
    """Videos have leaks that are not allowed.

    Attributes:
        found: What is leaking, and what to do against it.
    """

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}, or go on all the same: --allow-leaks")
        self.found = found


def refuse_leaks(found: Sequence[str], config: PrepareConfig, where: str) -> None:
    """Raises a `LeakError` where there are leaks that are not allowed."""
    more = ["..."] if found[3:] else []
    if found and not config.allow_leaks:
        raise LeakError(
            f"{counted(len(found), 'leak')}: {'; '.join([*map(visible, found[:3]), *more])}"
            f"{where}. Mend the splits or remove the copies"
        )


def too_many_bad(report: dict[str, Any], config: PrepareConfig) -> str:
    """The message that more videos would be left out than may be; empty: it is not so."""
    bad = len(left_out(report))
    total = bad + report["total"]["videos"]
    if bad <= config.max_bad_fraction * total:
        return ""
    return (
        f"{bad} of {counted(total, 'video')} would be left out, more than --max-bad-fraction "
        f"{config.max_bad_fraction:g}"
    )


def write_findings(
    folder: Path, videos: Sequence[Video], report: dict[str, Any], *, root: Path
) -> None:
    """Writes `quarantine.csv`, `data_report.json` and `data_report.md`.

    The quarantine names videos below `root` from there on.
    """
    changed = set(report["changes"].get("changed", ()))
    with (folder / "quarantine.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ("path", "label", "split", "status", "problem", "reason")
        trims = any(video.row.is_trim for video in videos)
        writer.writerow((*columns, *TRIM) if trims else columns)
        for video in videos:
            row = video.row
            for status, problem, reason in _problems(video, video.source.file in changed):
                path = relative_path(row.path, root.absolute())
                cells = (path, row.label, row.split, status, problem, reason)
                writer.writerow((*cells, *row.trim_cells) if trims else cells)
        for media, reason in _recordings_left_out(report.get("events")):
            writer.writerow((media, "", "", "left out", "recording", reason))
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (folder / "data_report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "data_report.md").write_text(as_markdown(report), encoding="utf-8")


def _recordings_left_out(events: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Recordings that came to no video, each with the reason."""
    if events:
        each = (*events["unmatched"], *events["unusable"])
        yield from zip(
            (one["media"] or one["name"] for one in each), events["left_out"], strict=True
        )


def _problems(video: Video, changed: bool) -> list[tuple[str, str, str]]:
    """Problems of a video, each with what became of it and the reason."""
    found: list[tuple[str, str, str]] = []
    if video.problem:
        found.append(("left out", video.problem, video.reason))
    if video.damaged and video.row.is_trim and video.declared_frames:
        reason = f"decoded {video.decoded_frames} of {video.declared_frames} frames: the file ends"
        found.append(("kept", "shorter than asked", reason))
    elif video.damaged:
        found.append(("kept", "damaged", video.file.damage))
    if not video.problem and video.look.num_frames == 1 and not video.row.is_trim:
        found.append(("kept", "a picture", "it has one frame: --min-frames 2 leaves it out"))
    if changed:
        found.append(("kept", "changed", "the file changed since the last preparation"))
    return found
