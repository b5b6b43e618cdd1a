"""What a table of labels names and cannot be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

from pipeline.config.prepare import PrepareConfig
from pipeline.manifest.rows import read_csv, relative_path
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events


class Missing(NamedTuple):
    """What is missing of the videos that a table names.

    Attributes:
        names: Those that are gone; of recordings, also those that cannot be read.
        total: How many videos the table names.
    """

    names: tuple[str, ...]
    total: int

    @classmethod
    def of_events(cls, table: Path) -> Self:
        """What is missing of recordings with events, found as `prepare` finds them.

        Raises:
            DataError: The table cannot be read.
        """
        matched, others = match_media(read_events(table), table.parent)
        return cls(tuple(each.media for each in others), len(matched) + len(others))

    @classmethod
    def of_clips(cls, table: Path) -> Self:
        """What is missing of clips with labels.

        Raises:
            DataError: The table cannot be read.
        """
        paths = {row.path for row in read_csv(table).rows}
        gone = sorted(path for path in paths if not Path(path).is_file())
        return cls(tuple(relative_path(path, table.parent.absolute()) for path in gone), len(paths))

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `prepare` with which it goes on without them."""
        if not self.names:
            return ()
        share = min(1.0, len(self.names) / self.total + PrepareConfig.max_bad_fraction)
        return ("--max-bad-fraction", f"{share:.3f}")
