"""Tables of text as people and programs write them, and the text itself.

Text is UTF-8, or UTF-16 with its mark. Commas, tabs or semicolons divide the cells of a table,
whichever of them its first line has most of.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.errors import DataError
from pipeline.text import listed

_UTF_8: Final = "utf-8-sig"
_WESTERN: Final = "cp1252"
_MOST_BYTES: Final = 2**28
_DELIMITERS: Final = ",\t;"


class NoTextError(DataError):
    """A file that is no text."""


class OtherEncodingError(NoTextError):
    """A file that is no text in UTF-8, and perhaps in another encoding."""


@contextmanager
def _opened(path: Path, encoding: str, newline: str | None = None) -> Iterator[io.TextIOWrapper]:
    """A file of text; what goes wrong as long as it is read is told."""
    try:
        with path.open("rb") as file:
            start = file.peek()[:4096]
            marked = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            if b"\0" in start and not marked:
                raise NoTextError(f"{path}: expected text, got binary data.")
            encoding = "utf-16" if marked else encoding
            yield io.TextIOWrapper(file, encoding, newline=newline)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        if encoding == _UTF_8:
            message = f"{path}: expected text in UTF-8: {error}. Save it as UTF-8."
            raise OtherEncodingError(message) from None
        raise NoTextError(f"{path}: expected text, got binary data.") from None


def read_text(path: Path, *, encoding: str = _UTF_8) -> str:
    """Reads a whole file; its lines end with newlines alone.

    Args:
        path: The file.
        encoding: Of its text, if it has no mark of UTF-16.

    Raises:
        NoTextError: It is no text, or too large.
        DataError: It cannot be read.
    """
    with _opened(path, encoding) as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise NoTextError(f"{path}: expected at most {_MOST_BYTES >> 20} MiB of text.")
        text = file.read()
    if "\0" in text:
        raise NoTextError(f"{path}: expected text, got binary data.")
    return text


def read_any_text(path: Path) -> tuple[str, bool]:
    """Reads a whole file, which may also be written as Windows does Western languages.

    Returns:
        The text, as `read_text` has it; and whether it is Windows', and so may be misread.

    Raises:
        NoTextError: As `read_text`.
        DataError: As `read_text`.
    """
    try:
        return read_text(path), False
    except OtherEncodingError:
        return read_text(path, encoding=_WESTERN), True


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        path: The file.
        number: Of the line in it, from 1; of one that goes over several, the last.
        cells: Without blanks around them, unless they were to be kept.
    """

    path: Path
    number: int
    cells: list[str]

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.path}, line {self.number}"


def read_lines(path: Path, *, exact: bool = False) -> Iterator[Line]:
    """Yields the lines of a table while its file is read, see `lines_of`.

    Raises:
        DataError: It cannot be read, or is no table.
    """
    with _opened(path, _UTF_8, newline="") as file:
        yield from lines_of(file, path, exact=exact)


def lines_of(
    text: str | Iterable[str], path: Path, *, delimiter: str = "", exact: bool = False
) -> Iterator[Line]:
    """Yields the lines of a table that have any text.

    Args:
        text: All of it, or lines with their ends, such as those of an opened file.
        path: The file, for messages.
        delimiter: What divides cells; empty: told by the first line.
        exact: Whether blanks around cells are kept.

    Raises:
        DataError: A quote is not closed, or a cell is too long.
    """
    lines = _without_nul(io.StringIO(text) if isinstance(text, str) else text, path)
    top = []
    for line in lines:
        top.append(line)
        if line.strip():
            break
    delimiter = delimiter or delimiter_of("".join(top))
    reader = csv.reader(itertools.chain(top, lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                kept = cells if exact else [cell.strip() for cell in cells]
                yield Line(path, reader.line_num, kept)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: expected a table: {error}. A cell with quotes in "
            "it needs quotes around it, and those inside doubled."
        ) from None


def _without_nul(lines: Iterable[str], path: Path) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise NoTextError(f"{path}: expected text, got binary data.")
        yield line


def delimiter_of(text: str) -> str:
    """What divides the cells of a table, by its first line: a comma, a tab or a semicolon."""
    first = text.lstrip("\r\n").partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


class Table:
    """The lines of a table below the names of its columns.

    Args:
        lines: All its lines.
        path: The file, for messages.
        needed: Columns that it must have, in lower case.

    Attributes:
        header: The line of the names.
        columns: The names in lower case, without blanks around them.

    Raises:
        DataError: There is no line, or as `columns_of`.
    """

    def __init__(self, lines: Iterator[Line], path: Path, *needed: str) -> None:
        header = next(lines, None)
        if header is None:
            raise DataError(f"{path}: expected columns {', '.join(needed)}, got an empty file.")
        self.header, self._lines = header, lines
        self.columns = columns_of(header, *needed)

    def __iter__(self) -> Iterator[tuple[Line, dict[str, str]]]:
        """Yields each line, and its cells by column.

        Raises:
            DataError: As `cells_of`, or a line cannot be read.
        """
        for line in self._lines:
            yield line, cells_of(line, self.columns)


def columns_of(header: Line, *needed: str) -> list[str]:
    """Returns the names of columns from the first line of a table, in lower case.

    Raises:
        DataError: One is missing, or there twice.
    """
    columns = [name.strip().lower() for name in header.cells]
    missing = [name for name in needed if name not in columns]
    if missing:
        noun = "columns" if needed[1:] else "column"
        others = "" if columns[1:] else " Divide cells by commas, semicolons or tabs."
        raise DataError(
            f"{header.place}: expected the {noun} {', '.join(needed)}, got "
            f"{listed(header.cells)}; {listed(missing)} is missing.{others}"
        )
    for name in columns:
        if name and columns.count(name) > 1:
            raise DataError(f"{header.place}: expected each column once, got {name!r} repeatedly.")
    return columns


def cells_of(line: Line, columns: list[str]) -> dict[str, str]:
    """Returns the cells of a line by column; missing ones are empty.

    Raises:
        DataError: There are more cells than columns.
    """
    if any(line.cells[len(columns) :]):
        raise DataError(
            f"{line.place}: expected at most {len(columns)} cells, got {len(line.cells)}. A cell "
            "that holds the separator, such as a decimal comma, needs double quotes around it."
        )
    missing = [""] * (len(columns) - len(line.cells))
    return dict(zip(columns, line.cells + missing, strict=False))
