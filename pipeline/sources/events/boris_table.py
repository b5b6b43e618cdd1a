"""Tables of BORIS: tabular exports, old and new, and aggregated ones; and writing the new one."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import DataError
from pipeline.sources.events.boris import NOBODY, Mark, Medium, Observation, behaviour_of
from pipeline.sources.events.event import Recording, WrittenRecording, time_of
from pipeline.tables import Line, cells_of, columns_of, lines_of

FIRST: Final = "observation id"
"""How the first cell of all its tables reads, in lower case."""

_COLUMNS = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *("Observation type", "Source", "Media duration (s)", "FPS", "Subject", "Behavior"),
    *("Behavioral category", "Behavior type", "Time", "Media file name", "Image index"),
    *("Image file path", "Comment"),
)
_NOTHING: Final = ("", "NA", "Not found", "None", "nan")
_PLAYER: Final = re.compile(r"(player #\d+):(.*?)(?=\W*player #|$)")
# What the types of events mean, in columns.
_MARKS: Final[dict[str, dict[Mark, str]]] = {
    "START": {"START": "time"},
    "STOP": {"STOP": "time"},
    "POINT": {"POINT": "time"},
}
_BOUTS: Final[dict[str, dict[Mark, str]]] = {
    "STATE": {"START": "start (s)", "STOP": "stop (s)"},
    "POINT": {"POINT": "start (s)"},
}
Row = tuple[str, dict[str, str]]


def read_boris_table(text: str, path: Path, *, modifiers: bool = False) -> list[Recording]:
    """Reads a tabular or an aggregated export.

    Times are those of the observation: where several files were played one after the other, events
    go to the file that they fall into. Files of further players show the same time and are told.

    Args:
        text: The table.
        path: Its file.
        modifiers: Make the modifiers part of the label, so that "eat" of "grass" is `eat grass`.

    Raises:
        DataError: The table is not as expected.
    """
    recordings = []
    for head, rows in _blocks(text, path):
        title = "".join(head.get(FIRST, []))
        by_name: dict[str, list[Row]] = {} if rows else {title or path.name: []}
        for row in rows:
            name = row[1].get(FIRST) or title or _medium(row[1])
            by_name.setdefault(name, []).append(row)
        for name, lines in by_name.items():
            recordings += _read_observation(name, head, lines, modifiers=modifiers)
    return recordings


def _blocks(text: str, path: Path) -> Iterator[tuple[dict[str, list[str]], list[Row]]]:
    """Yields the lines of each table with what stands above its columns, in the old layout."""
    head: dict[str, list[str]] = {}
    rows: list[Row] = []
    columns: list[str] | None = None
    for line in lines_of(text, path):
        is_header = {"behavior", "subject"} <= {cell.lower() for cell in line.cells}
        is_new = line.cells[0].lower() == FIRST
        if is_new and columns:
            yield head, rows
            head, rows, columns = {}, [], None
        if is_header:
            columns = _columns(line)
        elif columns:
            rows.append((line.place, cells_of(line, columns)))
        else:
            title, *values = line.cells
            head.setdefault(title.lower(), []).extend(filter(None, values))
    if not columns:
        raise DataError(
            f"{path}: expected a table of BORIS with the columns Subject and Behavior, found none."
        )
    yield head, rows


def _columns(line: Line) -> list[str]:
    names = {name.lower() for name in line.cells}
    if "start (s)" in names:
        return columns_of(line, "behavior type", "start (s)", "stop (s)")
    # The older layout calls the status of an event otherwise.
    status = "status" if "status" in names else "behavior type"
    return columns_of(line, "time", status)


def _read_observation(
    name: str, head: dict[str, list[str]], rows: list[Row], *, modifiers: bool
) -> list[Recording]:
    place, first = rows[0] if rows else (name, {})
    media, others = _media(place, head, [cells for _, cells in rows])
    offset = first.get("time offset (s)") or next(iter(head.get("time offset (s)", [])), "0")
    offset_seconds = time_of(place, offset, "a time offset in seconds")
    observation = Observation(name, media, modifiers, others, offset_seconds)
    for place, cells in rows:
        _add(observation, place, cells)
    return observation.recordings()


def _add(observation: Observation, place: str, cells: dict[str, str]) -> None:
    given = [text for column, text in cells.items() if column.startswith("modifier")]
    what = behaviour_of(cells["behavior"], cells["subject"], "|".join(given).split("|"))
    status = (cells.get("status") or cells.get("behavior type", "")).upper()
    types = _BOUTS if "start (s)" in cells else _MARKS
    if status not in types:
        raise DataError(
            f"{place}: expected an event of type {', '.join(types)}, got {status!r}. Export again."
        )
    for mark, column in types[status].items():
        time = None if cells[column] in _NOTHING else time_of(place, cells[column])
        observation.mark(place, time, mark, what, _medium(cells))


def _medium(cells: dict[str, str]) -> str:
    columns = ("media file name", "media file path", "media file")
    named = (cells.get(column, "") for column in columns)
    return next((name for name in named if name not in _NOTHING), "")


def _media(
    place: str, head: dict[str, list[str]], rows: list[dict[str, str]]
) -> tuple[list[Medium], list[str]]:
    """Returns the files of the first player, and those of the others."""
    first = rows[0] if rows else {}
    players = {title: files for title, files in head.items() if title.startswith("player #")}
    # In the new layout: player #1:a.mp4;b.mp4|player #2:c.mp4
    for title, files in _PLAYER.findall(first.get("source", "")):
        players[title] = [file.strip() for file in files.split(";")]
    named = dict.fromkeys(filter(None, map(_medium, rows)))
    names = players.pop("player #1", []) or list(named)
    others = [name for files in players.values() for name in files]
    rates = _numbers(place, first.get("fps") or first.get("fps (frame/s)", ""), len(names))
    lengths = _numbers(place, first.get("media duration (s)", ""), len(names))
    if len(names) == 1 and not lengths[0]:
        lengths = _numbers(place, first.get("total length", ""), 1)
    return [Medium(*each) for each in zip(names, rates, lengths, strict=True)], others


def _numbers(place: str, joined: str, count: int) -> list[float | None]:
    """Returns a number for each file of the first player from `25.000;25.000|30.000`."""
    given = [text.strip() for text in joined.partition("|")[0].split(";")]
    if len(given) != count:
        return [None] * count
    return [None if text in _NOTHING else time_of(place, text, "a number") for text in given]


def as_boris(recording: WrittenRecording) -> bytes:
    """A table as BORIS exports it: a line for each START, STOP and POINT, with tabs in it.

    It is for spreadsheets, R and pandas: BORIS opens projects, and no table.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, restval="", delimiter="\t", lineterminator="\n")
    writer.writeheader()
    name, seconds = Path(recording.path).name, f"{recording.duration_seconds:.3f}"
    same = {
        "Observation id": Path(recording.path).stem,
        "Observation date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        "Observation duration": seconds,
        "Observation type": "Media file(s)",
        "Source": f"player #1:{name}",
        "Media duration (s)": seconds,
        "FPS": f"{recording.fps:g}",
        "Media file name": name,
    }
    for event in recording.events:
        marks = {"START": event.start_seconds, "STOP": event.end_seconds}
        about = {"Behavior": event.label, "Subject": event.subject or NOBODY}
        for kind, time in ({"POINT": event.start_seconds} if event.is_point else marks).items():
            row = {"Behavior type": kind, "Time": f"{time:.3f}", "Comment": event.notes}
            writer.writerow({**same, **about, **row, "Image index": round(time * recording.fps)})
    return text.getvalue().encode()
