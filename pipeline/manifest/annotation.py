"""What a person marked in a recording, as labels of its frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint8]
Spans = tuple[tuple[float, float], ...]

IGNORED_LABEL: Final = 255
"""What stands for a class in the labels of a frame where nobody knows whether it holds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotation:
    """The events of a recording: when which class holds.

    Attributes:
        events: Start, end and class of each, in seconds from the first frame of the file.
        known: Where the annotation holds, pairs of start and end; None: everywhere. One without
            length holds nowhere.
        known_of: Where it holds of one class alone, besides: start, end and class of each.
        background: Class of the frames that no event covers; empty: they have none.
        subject: The only subject whose events these are; empty: all of them.
    """

    events: tuple[tuple[float, float, str], ...]
    known: Spans | None = None
    known_of: tuple[tuple[float, float, str], ...] = ()
    background: str = ""
    subject: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that occur, sorted; the background always does."""
        names = {label for _, _, label in self.events} | {self.background}
        return tuple(sorted(names - {""}))

    def of_classes(self, names: Iterable[str]) -> Annotation:
        """The same with what is said of some classes alone."""
        kept = set(names)
        events, known_of = (
            tuple(each for each in spans if each[2] in kept)
            for spans in (self.events, self.known_of)
        )
        return dataclasses.replace(self, events=events, known_of=known_of)

    def by_frame(self, fps: float, class_names: Sequence[str]) -> Callable[[int, int], Labels]:
        """A function that labels frames in a row.

        A class holds at a frame if it does in the middle of the time in which the frame is shown;
        the shortest event holds at one frame at least.

        Args:
            fps: Frames per second.
            class_names: All C classes.

        Returns:
            From the number of the first frame, from 0, and how many there are (N) to uint8 (N, C):
            1 where the class holds, 0 where not, 255 where that is not known. The background is
            known where another class holds, and where all of them are known.

        Example:
            >>> annotation = Annotation(events=((0.1, 0.3, "wave"),), known=((0.0, 0.4),))
            >>> annotation.by_frame(10, ["wave"])(0, 5)[:, 0].tolist()
            [0, 1, 1, 0, 255]
        """
        numbers = {name: number for number, name in enumerate(class_names)}
        rest = numbers[self.background] if self.background else None
        others = np.arange(len(class_names)) != rest
        holding = _columns(self.events, numbers, fps)
        known_of = (e for e in self.known_of if e[1] > e[0] and e[2] in numbers)
        knowing = _columns(known_of, numbers, fps)
        watched = [frames_of(*span, fps) for span in self.known or () if span[1] > span[0]]

        def labels(first: int, number: int) -> Labels:
            shape = number, len(class_names)
            holds, is_known = np.zeros(shape, np.bool_), np.full(shape, self.known is None)
            for start, end in watched:
                is_known[max(0, start - first) : max(0, end - first)] = True
            for values, (starts, ends, columns) in ((holds, holding), (is_known, knowing)):
                for at in np.flatnonzero((starts < first + number) & (ends > first)):
                    values[max(0, starts[at] - first) : ends[at] - first, columns[at]] = True
            if rest is not None:
                is_held = (holds & is_known)[:, others].any(axis=1)
                is_known[:, rest] |= is_held | (others.any() & is_known[:, others].all(axis=1))
                holds[:, rest] = ~holds[:, others].any(axis=1)
            return np.where(is_known, holds, IGNORED_LABEL).astype(np.uint8)

        return labels


def _columns(
    spans: Iterable[tuple[float, float, str]], numbers: Mapping[str, int], fps: float
) -> npt.NDArray[np.int64]:
    """First frame, frame after the last, and column of each, int (3, N)."""
    found = [(*frames_of(start, end, fps), numbers[label]) for start, end, label in spans]
    return np.array(found, np.int64).reshape(-1, 3).T


def merged(spans: Iterable[tuple[float, float]]) -> Spans:
    """The same time in spans that do not touch, in order.

    Example:
        >>> merged([(4.0, 6.0), (0.0, 2.0), (2.0, 3.0), (5.0, 5.5)])
        ((0.0, 3.0), (4.0, 6.0))
    """
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def frames_of(start: float, end: float, fps: float) -> tuple[int, int]:
    """The frames whose middles lie in a span of time, or else the one that is shown in its midst.

    Example:
        >>> frames_of(1.0, 2.0, fps=10), frames_of(1.06, 1.08, fps=10)
        ((10, 20), (10, 11))
    """
    # Times that are meant to be those of frames are off by what rounding to a millisecond does.
    first, last = (int(np.ceil(time * fps - 0.5 - 1e-3 * fps)) for time in (start, end))
    if last <= first:
        first = int((start + end) / 2 * fps)
        last = first + 1
    return first, last
