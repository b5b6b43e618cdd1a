"""Videos that are not prepared yet are, before they are trained or evaluated on."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import re
from pathlib import Path

from pipeline.config import FramesConfig
from pipeline.config.prepare import PrepareConfig, SourceName
from pipeline.errors import DataError
from pipeline.locks import in_turn
from pipeline.prepare.findings import LeakError
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import is_begun, is_held
from pipeline.text import command
from pipeline.video.paths import VIDEO_SUFFIXES


def ensure_prepared(
    path: Path, cache: Path, frames: FramesConfig, *, holds_out: bool = True, several: bool = False
) -> Path:
    """Prepares what is at a path, unless it is a data set or was prepared before.

    What cannot be read is left out, and named.

    Args:
        path: A data set; or a folder of videos by class, a table of videos, or one of events.
        cache: Folder for the data sets that are made here.
        frames: Rate, size, quality, and what is stored beside frames; 0: as `prepare` does.
        holds_out: Whether, without splits, some videos are for the test.
        several: Of a table, whether a label may be several.

    Returns:
        The folder of the data set.

    Raises:
        DataError: The videos cannot be used as they are: their layout, leaks, none of a class.
    """
    source = source_of(path)
    if source is None:
        return path
    usual = PrepareConfig(out="-")
    config = PrepareConfig(
        source=source,
        path=str(path),
        out="-",
        multilabel=several and source == "csv",
        test_fraction=usual.test_fraction if holds_out else 0,
        fps=frames.fps,
        size=frames.size or usual.size,
        jpeg_quality=frames.jpeg_quality or usual.jpeg_quality,
        flow=frames.flow,
        pose=frames.pose > 0,
        people=frames.pose or usual.people,
        max_bad_fraction=1,
    )
    out = cache / _name(path, config)
    if is_held(out):
        return out
    try:
        with in_turn(out, "preparing"):
            report = prepare(dataclasses.replace(config, out=str(out)), least_classes=1)
    except LeakError as error:
        how = command("prepare", "--source", source, "--path", path, "--out", "data/NAME")
        raise DataError(
            f"{error.found}, or prepare them by yourself: {how} --allow-leaks"
        ) from None
    if not report.up_to_date:
        print(report, flush=True)
    return out


def source_of(path: Path) -> SourceName | None:
    """How videos are to be read; None: there is a data set, or nothing that could be one."""
    if path.is_dir():
        has_videos = any(file.suffix.lower() in VIDEO_SUFFIXES for file in path.glob("*/*"))
        return "folder" if has_videos and not is_begun(path) else None
    if not path.is_file() or path.suffix.lower() != ".csv":
        return None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        columns = {name.strip().lower() for name in next(csv.reader(file), [])}
    return "events" if "path" not in columns and columns & {"video", "start_seconds"} else "csv"


def _name(path: Path, config: PrepareConfig) -> str:
    """Folder of a data set: another one for other videos, or other frames of them."""
    readable = re.sub(r"[^\w.-]+", "_", path.resolve().stem)[:40]
    made_of = f"{path.resolve()} {config}"
    return f"{readable}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"
