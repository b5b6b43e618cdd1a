"""What the processes do that learn of labels in the background."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.labelling.choice import Stretch, similar_stretches
from pipeline.labelling.head import Described
from pipeline.labelling.learning import Lesson, Point, learn, learning_curve
from pipeline.manifest.annotation import Annotation
from pipeline.video.descriptors import Floats, describe, kept_descriptors
from pipeline.video.paths import file_mark
from pipeline.web.worker import InParts

PART: Final = 600
"""Descriptors that are found at a time: those of a minute."""

_MOST_SIMILAR: Final = 12

Known = tuple[tuple[str, Annotation | None], ...]
"""What is known of recordings, by the names of their files."""

_describing = InParts(describe, PART)
_described: dict[str, Floats] = {}


def next_part(path: str, done: int) -> Floats:
    """The next descriptors of a file, after so many."""
    _give_way()
    return np.array(_describing.next(path, done), np.float16)


def lesson_of(folder: str, known: Known) -> Lesson:
    """What the labels of a folder teach, see `learn`."""
    return learn(_recordings(folder, known))


def curve_of(folder: str, known: Known) -> list[Point]:
    """What they are worth, see `learning_curve`."""
    import sklearn.neural_network  # noqa: F401  # at full speed, before this gives way

    _give_way()
    return learning_curve([each for each in _recordings(folder, known) if each.annotation])


def stretches_like(folder: str, known: Known, example: Stretch) -> list[Stretch]:
    """What looks like one of its stretches, see `similar_stretches`."""
    return similar_stretches(_recordings(folder, known), example, most=_MOST_SIMILAR)


def _recordings(folder: str, known: Known) -> list[Described]:
    """The recordings as the head sees them; those that changed since are left out."""
    found = []
    for name, annotation in known:
        path = Path(folder) / name
        descriptors = _descriptors(path)
        if descriptors is not None:
            found.append(Described(name, descriptors, annotation))
    return found


def _descriptors(path: Path) -> Floats | None:
    """Those of a recording, which stay in memory while the file stays as it is."""
    try:
        mark = file_mark(path)
    except OSError:
        return None
    if mark not in _described:
        kept = kept_descriptors(path)
        if kept is None:
            return None
        _described[mark] = kept
    return _described[mark]


@functools.cache
def _give_way() -> None:
    """Lets whatever shows frames go first; somebody waits for a lesson, which does not."""
    if hasattr(os, "nice"):
        os.nice(5)
