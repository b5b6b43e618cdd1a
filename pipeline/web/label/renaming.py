"""A class gets another name, wherever it stands in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.sources.events.text_tables import WATCHED
from pipeline.web.label.classes import Settings, class_name, settings_in_turn
from pipeline.web.label.clips import ClipTable
from pipeline.web.label.table import EventsTable


def rename_class(folder: Path, old: str, name: Any) -> Settings:
    """Renames a class in the tables of a folder and in its settings.

    The tables come first: a class that only they have is one of the page, once it is loaded.

    Args:
        folder: The folder.
        old: The name of the class.
        name: The new one, as it came over the network.

    Returns:
        All settings of the folder.

    Raises:
        DataError: There is no such class, another one has the name, or it is none for a class.
        OSError: Something cannot be written.
    """
    new = class_name(name)
    sheets = EventsTable(folder).sheet, ClipTable(folder).sheet
    with settings_in_turn(folder) as (settings, write):
        renamed = settings.renamed(old, new)
        if any(new in sheet.values("label") for sheet in sheets):
            raise DataError(f"there is a class {new} already")
        for sheet in sheets:
            sheet.replace("label", old, new)
            sheet.replace("label", f"{WATCHED} {old}", f"{WATCHED} {new}")
        write(renamed)
    return renamed
