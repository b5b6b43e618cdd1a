"""What clips show as a whole, in a table that `prepare --source csv` reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pipeline.errors import DataError
from pipeline.web.errors import ChangedError
from pipeline.web.label.classes import class_name
from pipeline.web.label.sheet import Sheet, is_named, plain

NAME: Final = "labels.csv"
"""Name of the table in the folder of its clips."""


class ClipTable:
    """The table of a folder of clips; it need not be there yet.

    Args:
        folder: The folder.

    Attributes:
        sheet: Its lines.
    """

    def __init__(self, folder: Path) -> None:
        self.sheet = Sheet(
            folder / NAME,
            ("path", "label"),
            ("path", "label"),
            check_row=lambda row: checked_label(row["label"]),
        )

    def read(self, videos: Iterable[str]) -> dict[str, str]:
        """The labels of some clips, by the names of their files; empty: none yet.

        Raises:
            DataError: The table cannot be read.
        """
        _, rows = self.sheet.read()
        found = dict.fromkeys(videos, "")
        for row in rows:
            for video in found:
                if is_named(row["path"], video):
                    found[video] = plain(row["label"])
        return found

    def save(self, video: str, label: str, *, before: str) -> None:
        """Writes the label of a clip; an empty one takes it out of the table.

        Args:
            video: The name of its file.
            label: Class name.
            before: The label that is to be replaced.

        Raises:
            ChangedError: It has another label by now.
            DataError: The table cannot be read.
            OSError: It cannot be written.
        """
        with self.sheet.alone():
            columns, rows = self.sheet.read()
            own = [row for row in rows if is_named(row["path"], video)]
            found = plain(own[-1]["label"]) if own else ""
            if found not in (before, label):
                raise ChangedError(
                    f"{video}: somebody else called it {found or 'nothing'} meanwhile"
                )
            kept = [row for row in rows if row not in own]
            new = [{**(own[-1] if own else {"path": video}), "label": label}] if label else []
            self.sheet.write(columns, [*kept, *new])


def checked_label(value: Any) -> str:
    """A label of what came over the network; empty: none.

    Raises:
        DataError: It is no name of a class.
    """
    if value == "":
        return ""
    if not isinstance(value, str):
        raise DataError("expected a label")
    return class_name(value)
