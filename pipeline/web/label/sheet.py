"""A table on disk of which some lines are changed and all else stays."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

from pipeline.atomic import atomic_write
from pipeline.errors import DataError
from pipeline.locks import in_turn
from pipeline.tables import Table, delimiter_of, lines_of, read_any_text

Row = dict[str, str]


class Sheet:
    """A table of text; it need not be there yet.

    Args:
        path: The file.
        columns: Those that are written in any case.
        needed: Those of them that a table which is there must have.
        check: Called with the text of the table; raises an error that says what is wrong with it.
        check_row: Likewise with each of its lines; the place of the line is put before the error.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        needed: Sequence[str],
        check: Callable[[str], object] = lambda _: None,
        *,
        check_row: Callable[[Row], object] = lambda _: None,
    ) -> None:
        self.path, self._columns, self._needed, self._check = path, columns, needed, check
        self._check_row = check_row
        self._delimiter = ","  # or what divides those that were read

    def alone(self) -> AbstractContextManager[None]:
        """Keeps others from writing it; waits until they have."""
        return in_turn(self.path, "writing")

    def read(self) -> tuple[list[str], list[Row]]:
        """The names of its columns, and its lines.

        Raises:
            DataError: It cannot be read.
        """
        text, _ = read_any_text(self.path) if self.path.exists() else ("", False)
        if not text.strip():
            return list(self._columns), []
        self._check(text)
        self._delimiter = delimiter_of(text)
        table = Table(lines_of(text, self.path), self.path, *self._needed)
        rows = []
        for line, row in table:
            try:
                self._check_row(row)
            except DataError as error:
                raise DataError(f"{line.place}: {error}") from None
            rows.append(row)
        columns = table.columns
        return [*columns, *(name for name in self._columns if name not in columns)], rows

    def write(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Writes it anew; what was there before stays until all is on disk.

        Raises:
            OSError: It cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(
            text, columns, restval="", delimiter=self._delimiter, lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        with atomic_write(self.path) as file:
            file.write(text.getvalue().encode())

    def values(self, column: str) -> set[str]:
        """What stands in a column.

        Raises:
            DataError: It cannot be read.
        """
        return {plain(row[column]) for row in self.read()[1]}

    def replace(self, column: str, old: str, new: str) -> None:
        """Writes another value wherever one stands in a column; all else stays.

        Raises:
            DataError: It cannot be read.
            OSError: It cannot be written.
        """
        with self.alone():
            columns, rows = self.read()
            found = [row for row in rows if plain(row[column]) == old]
            for row in found:
                row[column] = new
            if found:
                self.write(columns, rows)


def plain(text: str) -> str:
    """A text with single blanks, as the pages have it."""
    return " ".join(text.split())


def is_named(written: str, video: str) -> bool:
    """Whether what a table says is the name of a video, see `names_of`.

    Example:
        >>> [is_named(name, "a.mp4") for name in ("a.mp4", "day/a.mp4", "x/a", "b.mp4")]
        [True, True, True, False]
    """
    return file_name(written) in names_of(video)


def names_of(video: str) -> set[str]:
    """How a table may name a video: by its file, or without its end."""
    return {video, PurePosixPath(video).stem}


def file_name(written: str) -> str:
    """The name of a file without its folders, whatever system they are of."""
    return PurePosixPath(written.replace("\\", "/")).name
