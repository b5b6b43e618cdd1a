"""What whoever starts the server for programs can set."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from pipeline.config.checks import expect_above_0, expect_at_least
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

    workers: int = 0
    most_waiting: int = 64
    timeout_seconds: float = 120.0
    most_bytes: int = 256 * 2**20
    most_seconds: float = 600.0
    most_pixels: int = 4096 * 2304
    folder: Path | None = None

    def __post_init__(self) -> None:
        expect_at_least(self.workers, "--workers", 0)
        expect_at_least(self.most_waiting, "--most-waiting", 0)
        for name in ("timeout_seconds", "most_bytes", "most_seconds", "most_pixels"):
            option = f"--{name.replace('_', '-')}".replace("--timeout-seconds", "--timeout")
            expect_above_0(getattr(self, name), option)
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
