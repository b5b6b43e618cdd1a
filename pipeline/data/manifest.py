"""Which videos there are: one row a video, and the splits they belong to."""

from __future__ import annotations

import dataclasses
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled video.

    Attributes:
        path: The video file, absolute.
        label: Class name.
        group: What must not cross splits: the person, or the source video the clip was cut from.
        split: `train`, `val` or `test`; empty while the videos are not split yet.
    """

    path: str
    label: str
    group: str
    split: Split | Literal[""] = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The videos of one data set, in a fixed order.

    Attributes:
        rows: One row a video.
    """

    rows: tuple[Row, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in sorted order; the index of a name is its label number."""
        return tuple(sorted({row.label for row in self.rows}))
