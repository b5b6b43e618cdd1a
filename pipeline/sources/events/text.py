"""Text files as tools and people write them: encodings, tables, JSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import DataError
from pipeline.text import listed, one_line

_MOST_BYTES: Final = 2**28
_DELIMITERS: Final = ",\t;"


class NoTextError(DataError):
    """A file that is no text."""


def read_any_text(path: Path) -> tuple[str, str]:
    """Reads a file in UTF-8, in UTF-16 with its mark, or as Windows writes Western languages.

    Returns:
        The text, whose lines end with newlines alone, and the name of its encoding.

    Raises:
        NoTextError: The file is empty, or no text.
        DataError: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(4096)
            marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            if b"\0" in data and not marked:
                raise NoTextError(f"{path}: expected text, got binary data.")
            # Python makes room for as much as is asked for.
            data += file.read(min(_MOST_BYTES, os.fstat(file.fileno()).st_size))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    if len(data) > _MOST_BYTES:
        raise NoTextError(f"{path}: expected at most {_MOST_BYTES >> 20} MiB of text.")
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if not text.strip():
            raise NoTextError(f"{path}: expected events, got an empty file.")
        return text.replace("\r\n", "\n").replace("\r", "\n"), encoding
    raise NoTextError(f"{path}: expected text, got binary data.")


class Line(NamedTuple):
    """A line of a table: where it stands, and its cells without blanks around them."""

    place: str
    cells: list[str]


def delimiter_of(text: str) -> str:
    """What divides the cells of a table, by its first line: a comma, a tab or a semicolon."""
    first = text.lstrip("\n").partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


def read_lines(text: str, path: Path) -> Iterator[Line]:
    """Yields the lines of a table that are not blank; commas, tabs or semicolons divide it.

    Raises:
        DataError: A quote is not closed, or a cell is too long.
    """
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter_of(text), strict=True)
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: expected a table: {error}. A cell with quotes in "
                "it needs quotes around it, and those inside doubled."
            ) from None
        if any(cells):
            yield Line(f"{path}, line {reader.line_num}", cells)


def with_columns(line: Line, columns: list[str]) -> dict[str, str]:
    """Returns the cells of a line by column; missing ones are empty.

    Raises:
        DataError: There are more cells than columns.
    """
    if any(line.cells[len(columns) :]):
        raise DataError(
            f"{line.place}: expected at most {len(columns)} cells, got {len(line.cells)}. A cell "
            "that holds the separator, such as a decimal comma, needs double quotes around it."
        )
    return dict.fromkeys(columns, "") | dict(zip(columns, line.cells, strict=False))


def read_columns(line: Line, *needed: str) -> list[str]:
    """Returns the names of columns from the first line of a table, in lower case.

    Raises:
        DataError: One is missing, or there twice.
    """
    columns = [name.lower() for name in line.cells]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(
            f"{line.place}: expected the columns {', '.join(needed)}, got {listed(line.cells)}; "
            f"{listed(missing)} is missing."
        )
    for name in columns:
        if name and columns.count(name) > 1:
            raise DataError(f"{line.place}: expected each column once, got {name!r} repeatedly.")
    return columns


def read_json(text: str, place: object) -> Any:
    """Returns what JSON says.

    Raises:
        DataError: It is not JSON, or too deep.
    """
    try:
        data = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(data, ensure_ascii=False).encode()  # no half of a character
        return data
    except RecursionError:
        raise DataError(f"{place}: expected JSON of events, got lists in lists too deep.") from None
    except UnicodeEncodeError:
        raise DataError(f"{place}: expected JSON, got half of a character in it.") from None
    except ValueError as error:
        raise DataError(f"{place}: expected JSON: {one_line(error)}. Export it again.") from None


def part(value: Any, kind: type, place: str, what: str) -> Any:
    """Returns a part of JSON, which must be of a kind.

    Raises:
        DataError: It is not.
    """
    if not isinstance(value, kind):
        name = "an object" if kind is dict else "a list"
        raise DataError(f"{place}: expected {what}, {name}, got {str(value)[:40]!r}.")
    return value
