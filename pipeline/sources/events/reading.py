"""Reads events from a file or a folder, told by its content, and names what can be written.

What is written reads as the same events. ELAN and Label Studio know no points in time: there, one
has the length of a frame. Label Studio knows no subjects. BORIS opens none of it.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.errors import DataError
from pipeline.sources.events.boris import read_boris_project
from pipeline.sources.events.boris_table import FIRST, as_boris, read_boris_table
from pipeline.sources.events.elan import as_elan, read_elan
from pipeline.sources.events.event import Notice, Recording, WrittenRecording, read_json
from pipeline.sources.events.json_files import (
    as_label_studio,
    as_via,
    read_activitynet,
    read_label_studio,
    read_via_project,
    read_via_table,
)
from pipeline.sources.events.text_tables import (
    BACKGROUND,
    NEEDED,
    is_frame_labels,
    read_deepethogram,
    read_frame_labels,
    read_own_table,
)
from pipeline.tables import NoTextError, lines_of, read_any_text
from pipeline.text import counted, listed, visible
from pipeline.video.paths import VIDEO_SUFFIXES, LeftOutWarning, named_files

WRITERS: Final[Mapping[str, Callable[[WrittenRecording], bytes]]] = {
    ".boris.tsv": as_boris,
    ".eaf": as_elan,
    ".via.json": as_via,
    ".label-studio.json": as_label_studio,
}
"""By how the name of a file ends."""

_KINDS = (
    f"a table with the columns {', '.join(NEEDED)}, an export or a project of BORIS, ELAN, VIA 3, "
    "Label Studio (JSON), ActivityNet or DeepEthogram, or a text with a label a frame"
)
_JSON_KEYS = ("behaviors_conf", "metadata", "database", "annotations")


class OtherFileError(DataError):
    """A file that holds no events as far as is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """Options of some formats.

    Attributes:
        modifiers: See `read_boris_table`.
        tiers: See `read_elan`.
    """

    modifiers: bool = False
    tiers: tuple[str, ...] = ()


def read_events(
    path: str | os.PathLike[str], options: ReadingOptions | None = None
) -> list[Recording]:
    """Reads what people marked, from one file or from all files of a folder and below it.

    Hidden files are passed over, and those that hold no events; a warning names the latter, but no
    videos.

    Args:
        path: The file or folder.
        options: How to understand some formats.

    Returns:
        Recordings in the order of their files; several may be of one video.

    Raises:
        DataError: There are no events, or a file is not as its format wants it.
    """
    path = Path(path).absolute()
    options = options or ReadingOptions()
    if path.is_file():
        return _read_file(path, options)
    if not path.is_dir():
        raise DataError(f"{path} does not exist: expected {_KINDS}, or a folder of such files.")
    recordings: list[Recording] = []
    others = []
    for file in sorted(named_files(path), key=str):
        if file.suffix.lower() in VIDEO_SUFFIXES:
            continue
        try:
            recordings += _read_file(path / file, options)
        except (OtherFileError, NoTextError):
            others.append(str(file))
    if not recordings:
        found = f", only {listed(others)}" if others else ""
        raise DataError(f"{path}: expected {_KINDS}, found none{found}.")
    if others:
        message = f"{path}: passed over {counted(len(others), 'file')} without events: "
        warnings.warn(message + listed(others), LeftOutWarning, stacklevel=2)
    return recordings


def _read_file(path: Path, options: ReadingOptions) -> list[Recording]:
    text, is_western = read_any_text(path)
    if not text.strip():
        raise NoTextError(f"{path}: expected events, got an empty file.")
    try:
        recordings = _read_text(text, path, options)
    except DataError as error:  # names in files may hold anything
        raise DataError(visible(error)) from None
    if recordings is None:
        first = text.strip().partition("\n")[0]
        raise OtherFileError(
            f"{path}: expected {_KINDS}, got a file that starts with {first[:60]!r}."
        )
    if not is_western:
        return recordings
    notice = Notice("encoding", f"{path}: no UTF-8, read as Windows-1252; check the names")
    return [recording.telling(notice) for recording in recordings]


def _read_text(text: str, path: Path, options: ReadingOptions) -> list[Recording] | None:
    """Returns what a text says; None where nothing is known that is written so."""
    start = text.lstrip()[:1]
    if start in "{[":
        return _read_json(text, path, options)
    if start == "<" and "<ANNOTATION_DOCUMENT" in text:
        return read_elan(text, path, tiers=options.tiers)
    if start == "#" and "# CSV_HEADER" in text:
        return read_via_table(text, path)
    if is_frame_labels(text):
        return read_frame_labels(text, path)
    return _read_table(text, path, options)


def _read_json(text: str, path: Path, options: ReadingOptions) -> list[Recording] | None:
    try:
        data: Any = read_json(text, path)
    except DataError:
        if path.suffix.lower() in (".json", ".boris") or any(
            f'"{key}"' in text for key in _JSON_KEYS
        ):
            raise
        return None
    keys = set(data) if isinstance(data, dict) else set()
    if "behaviors_conf" in keys or "project_format_version" in keys:
        return read_boris_project(data, path, modifiers=options.modifiers)
    if {"metadata", "view"} <= keys:
        return read_via_project(data, path)
    if "database" in keys:
        return read_activitynet(data, path)
    first = data[0] if isinstance(data, list) and data else data
    if isinstance(first, dict) and "data" in first and {"annotations", "predictions"} & set(first):
        return read_label_studio(data, path)
    return None


def _read_table(text: str, path: Path, options: ReadingOptions) -> list[Recording] | None:
    try:
        names = [cell.lower() for cell in next(lines_of(text, path)).cells]
    except (DataError, StopIteration):
        return None
    if names[0] == FIRST or {"behavior", "subject"} <= set(names):
        return read_boris_table(text, path, modifiers=options.modifiers)
    if len(names) > 1 and BACKGROUND in names:
        return read_deepethogram(text, path)
    if len(set(NEEDED) & set(names)) > 1:
        return read_own_table(text, path)
    return None
