"""Finding videos that are there twice: the same bytes, or the same pictures in another encoding.

The hash of a video holds one perceptual hash of its mean frame, which tells places apart, and one
for each of the slowest ways in which its pixels change, which tell videos of one place apart.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
    that stands still looks the same while nothing moves.

    Memory is constant, and what looks the same as many others is compared with few. 13,000 videos
    of which no two look the same take about 2 seconds, 100,000 take about 2 minutes.

    Args:
        hashes: What `video_hash` returned for each video; a None is like no other.
        apart: Names of each, such as that of its file: those that share one are not compared.

    Returns:
        Groups of indices into `hashes`, two or more each, in order: each looks the same as another
        one of its group.
    """
    known = [(index, digits) for index, digits in enumerate(hashes) if digits is not None]
    data = bytes.fromhex("".join(digits for _, digits in known))
    words = np.frombuffer(data, np.uint64).reshape(-1, _NUM_BITS // 64)
    moving = _moves(words.reshape(len(words), 1 + _NUM_WAVES, _HASH_SIZE**2 // 64))
    places = np.array([index for index, _ in known], np.int64)[moving]
    joined = _joined(np.ascontiguousarray(words[moving].T), [_numbers(n)[places] for n in apart])
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for place, group in zip(places.tolist(), joined.tolist(), strict=True):
        groups[group].append(place)
    return [group for group in groups.values() if len(group) > 1]


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


def _joined(words: np.ndarray, apart: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers of groups, one a column of uint64 (words, videos), joined by few other bits.

    Those that share a number of `apart` are not compared, nor those that are joined already.
    """
    num_rows, num_columns = _BLOCK
    joined = np.arange(words.shape[1])
    left = np.lexsort(apart) if apart else joined
    while left.size:
        together = left[joined[left] == joined[left[0]]]
        rows = together[:num_rows] if len(together) >= num_rows else left[:num_rows]
        others = left
        for numbers in (joined, *apart):
            if (numbers[rows] == numbers[rows[0]]).all():
                others = others[numbers[others] != numbers[rows[0]]]
        for start in range(0, len(others), num_columns):
            columns = others[start : start + num_columns]
            for row, near in _close(words, rows, columns, (joined, *apart)):
                groups = np.unique(joined[[row, *near]])
                joined = np.where(np.isin(joined, groups), groups[0], joined)
        left = left[~np.isin(left, rows)]
    return joined


def _close(
    words: np.ndarray, rows: np.ndarray, columns: np.ndarray, apart: Sequence[np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields those of some videos that others differ from in few bits, with these."""
    distance = np.zeros((len(rows), len(columns)), np.uint16)
    for row, column in zip(words[:, rows, None], words[:, None, columns], strict=True):
        distance += np.bitwise_count(row ^ column)
    close = distance <= _MOST_BITS
    if close.any():
        for numbers in apart:
            close &= numbers[rows, None] != numbers[None, columns]
    for place in np.flatnonzero(close.any(axis=1)):
        yield int(rows[place]), columns[close[place]]
