"""Finding videos that are there twice: the same bytes, or the same pictures in another encoding.

The hash of a video holds one perceptual hash of its mean frame, which tells places apart, and one
for each of the slowest ways in which its pixels change, which tell videos of one place apart.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

_NUM_FRAMES: Final = 32
_NUM_WAVES: Final = 3
_HASH_SIZE: Final = 16
_NUM_BITS: Final = (1 + _NUM_WAVES) * _HASH_SIZE**2

_SIDE: Final = 4 * _HASH_SIZE
# The first rows of a discrete cosine transform (DCT-II).
_COSINES: Final = np.cos(np.pi / _SIDE * np.arange(_HASH_SIZE)[:, None] * (np.arange(_SIDE) + 0.5))

# A quarter of 1,024, in the middle of a gap. Copies of 158 videos, encoded anew, smaller, brighter,
# grey or a frame shorter, differ in at most 178 bits; those that lack 0.3 seconds, in at most 240.
# Different videos differ in 506 on average; the two most alike of 120 real ones, which show the
# same act at the same place, in 354, and of 1,920 rendered ones, in 308.
_MOST_BITS: Final = _NUM_BITS // 4

# How much of the mean frame is mixed into a wave. Where nothing moves, that is what is hashed, in
# place of the noise; more of it would drown small movements.
_STILL_SHARE: Final = 0.05

# In grey levels. Real and rendered scenes have 3 to 60, noise on one colour has about 1.
_LEAST_DETAIL: Final = 1.5

# Few rows by many columns take the least time: what is between them stays in the cache.
_BLOCK: Final = (64, 4096)

_PIECE: Final = 2**16

_MOST_USUAL: Final = 256
"""Parts of a file that say what is usual in it, at most: so many from its start to its end."""


def hash_positions(num_frames: int) -> np.ndarray:
    """Returns which frames of a video `video_hash` wants: the middles of 32 equal stretches.

    Args:
        num_frames: Frames of the video, 1 or more. Of fewer than 32, some are wanted repeatedly.

    Returns:
        int64 (32,): indices from 0 to `num_frames` - 1, in order.

    Example:
        >>> hash_positions(128)[:4].tolist(), hash_positions(2)[14:18].tolist()
        ([2, 6, 10, 14], [0, 0, 1, 1])
    """
    return (2 * np.arange(_NUM_FRAMES) + 1) * num_frames // (2 * _NUM_FRAMES)


def video_hash(images: Sequence[np.ndarray] | np.ndarray) -> str | None:
    """Returns what stays nearly the same when a video is encoded anew.

    Source: the low frequencies in space and time, as in Coskun, Sankur and Memon (2006), "Spatio-
    temporal transform based video hashing".

    Args:
        images: The frames at `hash_positions`, each uint8 (H, W, 3), RGB.

    Returns:
        Hexadecimal digits, 256 of them; None if there is nothing to tell the video by: its mean
        frame is one colour, stripes, a smooth shade or noise.
    """
    pictures = [Image.fromarray(picture) for picture in _pictures(np.asarray(images, np.float32))]
    if _detail(pictures[0]) < _LEAST_DETAIL:
        return None
    return "".join(map(_image_hash, pictures))


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
    words = np.frombuffer(data, np.uint64).reshape(-1, _NUM_BITS // 64)
    moving = _moves(words.reshape(len(words), 1 + _NUM_WAVES, _HASH_SIZE**2 // 64))
    places = np.array([index for index, _ in known], np.int64)[moving]
    numbers = [_numbers(names)[[index for index, _ in known]] for names in apart]
    limits = _limits(np.ascontiguousarray(words.T), numbers[0]) if apart and known else None
    joined = _join_close(
        np.ascontiguousarray(words[moving].T),
        np.full(len(places), _MOST_BITS) if limits is None else limits[moving],
        [each[moving] for each in numbers],
    )
    return [places[group].tolist() for group in joined.groups()]


def file_digest(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sample_digest(path: str) -> str:
    """A digest of a file without reading all of it: of its size and three pieces of it.

    Returns:
        The SHA-256, in hexadecimal digits, of the size and of the first, the middle and the last
        64 KiB.

    Raises:
        OSError: It cannot be read.
    """
    num_bytes = Path(path).stat().st_size
    digest = hashlib.sha256(str(num_bytes).encode())
    with Path(path).open("rb") as file:
        for start in (0, (num_bytes - _PIECE) // 2, num_bytes - _PIECE):
            file.seek(max(0, start))
            digest.update(file.read(_PIECE))
    return digest.hexdigest()


def same_content(paths: Sequence[str], sizes: Sequence[int]) -> list[list[int]]:
    """Finds the files that hold the same bytes; only those of equal size are read.

    Args:
        paths: Files. One that is named repeatedly is no duplicate of itself.
        sizes: Their sizes in bytes. Those of 0 or below are like no other.

    Returns:
        Groups of indices into `paths`, two or more different files each, in order.

    Raises:
        OSError: A file that has to be read cannot be read.
    """
    of_size: defaultdict[int, set[str]] = defaultdict(set)
    for path, size in zip(paths, sizes, strict=True):
        of_size[size].add(path)
    content = {
        path: file_digest(path)
        for size, files in of_size.items()
        if size > 0 and len(files) > 1
        for path in files
    }
    return same_digest(paths, [content.get(path, "") for path in paths])


def same_digest(paths: Sequence[str], digests: Sequence[str]) -> list[list[int]]:
    """As `same_content`, of files whose digests are known; an empty one is like no other."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest:
            groups[digest].append(index)
    return [group for group in groups.values() if len({paths[index] for index in group}) > 1]


def _pictures(frames: np.ndarray) -> np.ndarray:
    """Returns the mean frame and the waves over time, uint8 (1 + waves, H, W, 3).

    A wave is how much a pixel follows a cosine of one half, two halves, ... of a turn. The first
    has the opposite sign in a video that is played backwards.
    """
    time = (np.arange(len(frames), dtype=np.float32) + 0.5) / len(frames)
    cosines = np.cos(np.pi * np.arange(1 + _NUM_WAVES, dtype=np.float32)[:, None] * time)
    # A matrix product would wake the threads of BLAS, in every worker process at once.
    mean, *waves = np.einsum("wt,t...->w...", cosines / len(frames), frames)
    still = _STILL_SHARE * (mean - mean.mean())
    pictures = [mean, *(128 + 2 * wave + still for wave in waves)]
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def _image_hash(picture: Image.Image) -> str:
    """The perceptual hash of a picture: which of its lowest frequencies are above their median.

    Source: Zauner (2010), "Implementation and Benchmarking of Perceptual Image Hash Functions".
    """
    small = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, np.float64)
    frequencies = np.einsum("ur,rv->uv", _COSINES, np.einsum("rc,vc->rv", pixels, _COSINES))
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()


def _detail(picture: Image.Image) -> float:
    """Rest of each pixel beside the means of its row and column, in grey levels."""
    grey = np.asarray(picture.convert("L"), np.float32)
    rest = grey - grey.mean(axis=0) - grey.mean(axis=1, keepdims=True) + grey.mean()
    return float(rest.std())


def _moves(words: np.ndarray) -> np.ndarray:
    """Whether something moves, in more than one way, by uint64 (videos, pictures, words).

    Where nothing moves, or the light changes, waves look like the mean frame. What goes to and fro
    at one place gives one wave again and again, of which only the sign tells when.
    """
    ways = np.zeros(len(words), np.int64)
    for wave in range(1, words.shape[1]):
        others = np.bitwise_count(words[:, :wave] ^ words[:, wave : wave + 1]).sum(axis=2)
        unlike = np.minimum(others, _HASH_SIZE**2 - others) > _HASH_SIZE**2 // 4
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
