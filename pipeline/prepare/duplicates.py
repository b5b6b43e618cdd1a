"""Finding videos that are there twice: the same bytes, or the same pictures in another encoding."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.frames.hashing import HASH_SIZE, NUM_BITS, NUM_WAVES

# A quarter of 1,024, in the middle of a gap. Copies of 158 videos, encoded anew, smaller, brighter,
# grey or a frame shorter, differ in at most 178 bits; those that lack 0.3 seconds, in at most 240.
# Different videos differ in 506 on average; the two most alike of 120 real ones, which show the
# same act at the same place, in 354, and of 1,920 rendered ones, in 308.
_MOST_BITS: Final = NUM_BITS // 4

# Few rows by many columns take the least time: what is between them stays in the cache.
_BLOCK: Final = (64, 4096)

_MOST_USUAL: Final = 256
"""Parts of a file that say what is usual in it, at most: so many from its start to its end."""


def near_duplicates(hashes: Sequence[str | None], *apart: Sequence[str]) -> list[list[int]]:
    """Finds the videos that look the same: the hashes of two differ in at most a quarter of bits.

    That says something of videos in which something moves alone: whatever is filmed by a camera
    that stands still looks the same while nothing moves. And of parts of a file, two must be more
    alike than most parts of their files are. Alarms, of 240 bouts of rest in 12 recordings by 3
    cameras, and of 120 real videos with a copy of each:

    | compared | false, of rest | encoded anew | scaled | 0.2 s cut off |
    | --- | --- | --- | --- | --- |
    | all | 1,861 pairs | 120 | 120 | 106 |
    | what moves | 2 pairs | 120 | 120 | 106 |
    | all, and with what is usual | 1 pair | 120 | 120 | 106 |
    | what moves, and with what is usual | none | 120 | 120 | 106 |

    Memory is constant, and what looks the same as many others is compared with few. 13,000 videos
    of which no two look the same take about 2 seconds, 100,000 take about 2 minutes. The
    process then has 65 MB, also with 20,000 bouts of rest in recordings of 20 or 500.

    Args:
        hashes: What `video_hash` returned for each video; a None is like no other.
        apart: Names of each, first that of its file: those that share one are not compared.

    Returns:
        Groups of indices into `hashes`, two or more each, in order: each looks the same as another
        one of its group.
    """
    known = [(index, digits) for index, digits in enumerate(hashes) if digits is not None]
    data = bytes.fromhex("".join(digits for _, digits in known))
    words = np.frombuffer(data, np.uint64).reshape(-1, NUM_BITS // 64)
    moving = _moves(words.reshape(len(words), 1 + NUM_WAVES, HASH_SIZE**2 // 64))
    places = np.array([index for index, _ in known], np.int64)[moving]
    numbers = [_numbers(names)[[index for index, _ in known]] for names in apart]
    limits = _limits(np.ascontiguousarray(words.T), numbers[0]) if apart and known else None
    joined = _join_close(
        np.ascontiguousarray(words[moving].T),
        np.full(len(places), _MOST_BITS) if limits is None else limits[moving],
        [each[moving] for each in numbers],
    )
    return [places[group].tolist() for group in joined.groups()]


def same_digest(paths: Sequence[str], digests: Sequence[str]) -> list[list[int]]:
    """Finds the files that hold the same bytes.

    Args:
        paths: Files. One that is named repeatedly is no duplicate of itself.
        digests: Their digests; an empty one is like no other.

    Returns:
        Groups of indices into `paths`, two or more different files each, in order.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest:
            groups[digest].append(index)
    return [group for group in groups.values() if len({paths[index] for index in group}) > 1]


def _moves(words: np.ndarray) -> np.ndarray:
    """Whether something moves, in more than one way, by uint64 (videos, pictures, words).

    Where nothing moves, or the light changes, waves look like the mean frame. What goes to and fro
    at one place gives one wave again and again, of which only the sign tells when.
    """
    ways = np.zeros(len(words), np.int64)
    for wave in range(1, words.shape[1]):
        others = np.bitwise_count(words[:, :wave] ^ words[:, wave : wave + 1]).sum(axis=2)
        unlike = np.minimum(others, HASH_SIZE**2 - others) > HASH_SIZE**2 // 4
        ways += unlike.all(axis=1)
    return ways > 1


def _numbers(names: Sequence[str]) -> np.ndarray:
    """The same number for the same name."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _limits(words: np.ndarray, files: np.ndarray) -> np.ndarray:
    """In how few bits another video must differ from each to look the same as it.

    Bouts of one animal that rests look the same, and so do those of another one in the same box. So
    of files with several parts, it is less than most parts of that file differ in.
    """
    limits = np.full(len(files), _MOST_BITS)
    order = np.argsort(files, kind="stable")
    for parts in np.split(order, np.flatnonzero(np.diff(files[order])) + 1):
        chosen = parts[:: math.ceil(len(parts) / _MOST_USUAL)]
        for start in range(0, len(parts) if len(parts) > 1 else 0, _BLOCK[0]):
            rows = parts[start : start + _BLOCK[0]]
            distance = np.sort(_distances(words, rows, chosen), axis=1)
            # The first is its own, of those that were chosen.
            usual = distance[:, min(1 + len(chosen) // 10, len(chosen) - 1)]
            limits[rows] = np.minimum(_MOST_BITS, usual * 2 // 3)
    return limits


class Joined:
    """Things that are joined to groups, which join others in turn.

    Attributes:
        numbers: int64 (things,): the same for those of one group.
    """

    def __init__(self, count: int) -> None:
        self.numbers = np.arange(count)

    def join(self, members: Sequence[int] | np.ndarray) -> None:
        """Makes one group of some things, and of the groups that they are in."""
        groups = np.unique(self.numbers[members])
        if len(groups) > 1:
            self.numbers[np.isin(self.numbers, groups)] = groups[0]

    def groups(self) -> list[list[int]]:
        """Those of two or more, each in order."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for index, number in enumerate(self.numbers.tolist()):
            found[number].append(index)
        return [group for group in found.values() if len(group) > 1]


def _join_close(words: np.ndarray, limits: np.ndarray, apart: Sequence[np.ndarray]) -> Joined:
    """Joins videos that differ in few bits, a column each of uint64 (words, videos).

    Those that share a number of `apart` are not compared, nor those that are joined already.
    """
    num_rows, num_columns = _BLOCK
    joined = Joined(words.shape[1])
    left = np.lexsort(apart) if apart else np.arange(words.shape[1])
    while left.size:
        numbers = joined.numbers
        together = left[numbers[left] == numbers[left[0]]]
        rows = together[:num_rows] if len(together) >= num_rows else left[:num_rows]
        others = left
        for each in (numbers, *apart):
            if (each[rows] == each[rows[0]]).all():
                others = others[each[others] != each[rows[0]]]
        for start in range(0, len(others), num_columns):
            columns = others[start : start + num_columns]
            most = np.minimum(limits[rows, None], limits[None, columns])
            close = _distances(words, rows, columns) <= most
            for each in (joined.numbers, *apart) if close.any() else ():
                close &= each[rows, None] != each[None, columns]
            for place in np.flatnonzero(close.any(axis=1)):
                joined.join([rows[place], *columns[close[place]]])
        left = left[~np.isin(left, rows)]
    return joined


def _distances(words: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """In how many bits each of some videos differs from each of others, uint16."""
    distance = np.zeros((len(rows), len(columns)), np.uint16)
    for row, column in zip(words[:, rows, None], words[:, None, columns], strict=True):
        distance += np.bitwise_count(row ^ column)
    return distance
