"""What whoever starts the server for programs can set."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Final

from pipeline.config.values import NOT_NEGATIVE, POSITIVE, Positive, check_ranges
from pipeline.errors import DataError
from pipeline.video import Limits
from pipeline.workers.pool import num_cores

_QUOTA: Final = 8
"""How many of the largest uploads there is room for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Limits of the server.

    Attributes:
        workers: How many requests are worked on at once; 0: one per processor core.
        most_waiting: How many more may wait for their turn.
        timeout_seconds: How long a request may take, from its header to its answer.
        most_bytes: How many a video may have.
        most_seconds: How long it may last.
        most_pixels: How many its frames may have.
        folder: Where videos lie that requests may name; None: nowhere.

    Raises:
        ConfigError: A number is out of range.
        DataError: The folder is none.
    """

    workers: Annotated[int, NOT_NEGATIVE] = 0
    most_waiting: Annotated[int, NOT_NEGATIVE] = 64
    timeout_seconds: Positive = 120.0
    most_bytes: Annotated[int, POSITIVE] = 256 * 2**20
    most_seconds: Positive = 600.0
    most_pixels: Annotated[int, POSITIVE] = 4096 * 2304
    folder: Path | None = None

    def __post_init__(self) -> None:
        check_ranges(self, _option)
        if self.folder and not self.folder.is_dir():
            raise DataError(f"--folder: {self.folder} is no folder")

    @property
    def at_once(self) -> int:
        """How many requests are worked on at once."""
        return self.workers or num_cores()

    @property
    def limits(self) -> Limits:
        """How long and how large a video may be."""
        return Limits(seconds=self.most_seconds, pixels=self.most_pixels)

    @property
    def quota(self) -> int:
        """Bytes of all uploads together."""
        return _QUOTA * self.most_bytes


def _option(name: str) -> str:
    names = {"timeout_seconds": "timeout"}
    return f"--{names.get(name, name)}".replace("_", "-")
