"""Copies are found; what merely looks alike is not."""

from __future__ import annotations

import itertools
import os
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import FramesConfig
from pipeline.prepare.duplicates import (
    hash_positions,
    near_duplicates,
    same_content,
    same_digest,
    sample_digest,
    video_hash,
)
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import decode_jpeg, iter_frames, write_video

VIDEOS = os.environ.get("PIPELINE_VIDEOS")
FRAMES = FramesConfig(fps=15, size=64, jpeg_quality=95)
HEIGHT, WIDTH = 96, 128
BITS = 1024
MOST = 256


def hash_file(path: Path) -> str | None:
    images, _ = encode_video(path, FRAMES)
    frames = images["frames"]
    return video_hash([decode_jpeg(frames[index]) for index in hash_positions(len(frames))])


def hash_frames(frames: np.ndarray) -> str | None:
    return video_hash(frames[hash_positions(len(frames))])


def place(seed: int) -> np.ndarray:
    """A still scene, float (HEIGHT, WIDTH, 3): coarse patches with a fine grain."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(40, 200, (12, 16, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return patches + rng.normal(0, 8, (HEIGHT, WIDTH, 3))


def film(scene: np.ndarray, take: int, num_frames: int = 60, noise: float = 1.0) -> np.ndarray:
    """Films somebody dark who walks through a scene, at a speed that changes."""
    rng = np.random.default_rng(take)
    legs = rng.uniform((0, 0), (HEIGHT - 32, WIDTH - 16), (5, 2))
    path = [np.interp(np.linspace(0, 4, num_frames), range(5), axis) for axis in legs.T]
    frames = scene + rng.normal(0, noise, (num_frames, HEIGHT, WIDTH, 3))
    for frame, y, x in zip(frames, *np.int64(path), strict=True):
        frame[y : y + 32, x : x + 16] = 20
    return np.clip(frames, 0, 255).astype(np.uint8)


def distance(first: str | None, second: str | None) -> int:
    assert first is not None
    assert second is not None
    return (int(first, 16) ^ int(second, 16)).bit_count()


def test_positions_are_the_middles_of_equal_stretches() -> None:
    assert hash_positions(64).tolist() == list(range(1, 64, 2))
    assert hash_positions(1).tolist() == [0] * 32
    assert hash_positions(3).tolist() == [0] * 11 + [1] * 10 + [2] * 11
    assert hash_positions(1000)[[0, -1]].tolist() == [15, 984]


@pytest.mark.parametrize("num_frames", [1, 2, 31, 32, 33, 95, 100_001])
def test_positions_are_frames_and_the_same_from_both_ends(num_frames: int) -> None:
    positions = hash_positions(num_frames)
    assert positions.shape == (32,)
    assert np.all(np.diff(positions) >= 0)
    assert abs(positions[0] - (num_frames - 1 - positions[-1])) <= 1


def brighter(frames: np.ndarray) -> np.ndarray:
    return np.clip(frames * 1.1, 0, 255).astype(np.uint8)


def grey(frames: np.ndarray) -> np.ndarray:
    return frames.mean(axis=3, keepdims=True).repeat(3, axis=3).astype(np.uint8)


COPIES: dict[str, tuple[str, float, Callable[[np.ndarray], np.ndarray]]] = {
    "another codec": ("copy.mp4", 30, lambda frames: frames),
    "half the size": ("copy.avi", 30, lambda frames: frames[:, ::2, ::2]),
    "another aspect": ("copy.mkv", 30, lambda frames: frames[:, :, ::2]),
    "half the rate": ("copy.mp4", 15, lambda frames: frames[::2]),
    "brighter": ("copy.avi", 30, brighter),
    "grey": ("copy.mov", 30, grey),
    "a frame later": ("copy.avi", 30, lambda frames: frames[1:]),
    "start cut off": ("copy.mp4", 30, lambda frames: frames[3:]),
    "end cut off": ("copy.mp4", 30, lambda frames: frames[:-3]),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found(name: str, tmp_path: Path) -> None:
    frames = film(place(0), take=0)
    write_video(tmp_path / "video.avi", frames, fps=30, codec="FFV1")
    file, fps, change = COPIES[name]
    write_video(tmp_path / file, change(frames), fps=fps)
    hashes = [hash_file(tmp_path / "video.avi"), hash_file(tmp_path / file)]
    assert near_duplicates(hashes) == [[0, 1]]


def test_other_takes_at_the_same_place_are_no_copies() -> None:
    hashes = [hash_frames(film(place(0), take)) for take in range(12)]
    assert near_duplicates(hashes) == []


def test_the_same_walk_at_another_place_is_no_copy() -> None:
    hashes = [hash_frames(film(place(seed), take=0)) for seed in range(12)]
    assert near_duplicates(hashes) == []


def test_a_video_played_backwards_is_no_copy() -> None:
    frames = film(place(0), take=0)
    assert distance(hash_frames(frames), hash_frames(frames[::-1])) > MOST + 64


def resting(take: int) -> np.ndarray:
    """A fixed camera on somebody who breathes, in a light that changes."""
    rng = np.random.default_rng(take)
    frames = place(0) + rng.normal(0, 4, (60, HEIGHT, WIDTH, 3))
    for index in range(60):
        frames[index, 40 : 60 + rng.integers(2), 50:80] = 20
    light = rng.uniform(0.9, 1.1) * np.linspace(1, rng.uniform(0.9, 1.1), 60)
    return np.clip(frames * light[:, None, None, None], 0, 255).astype(np.uint8)


def test_stretches_in_which_nothing_moves_are_no_copies() -> None:
    """Of one camera they all look the same; many frames, or a few, or one that stays."""
    hashes = [hash_frames(resting(take)[:most]) for take in range(4) for most in (1, 2, 3, 60)]
    assert len(hashes) == 16
    assert None not in hashes
    assert near_duplicates(hashes) == []


def test_many_that_look_the_same_are_one_group_in_little_memory() -> None:
    """Of all pairs there would be 18 million, of which one alone is not within a file."""
    rng = np.random.default_rng(0)
    start = int.from_bytes(rng.bytes(BITS // 8))
    hashes = [digits_at(start, bits=number % 100) for number in range(6000)]
    one_file = ["a"] * 5999
    tracemalloc.start()
    assert near_duplicates(hashes, [*one_file, "b"]) == [[*range(6000)]]
    assert near_duplicates(hashes, [*one_file, "a"]) == []
    assert near_duplicates(hashes) == [[*range(6000)]]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 * 2**20


def test_a_chain_is_one_group_unless_it_leads_through_what_is_not_compared() -> None:
    start = int.from_bytes(np.random.default_rng(0).bytes(BITS // 8))
    hashes = [digits_at(start, bits=bits) for bits in (0, 200, 400)]
    assert near_duplicates(hashes) == [[0, 1, 2]]
    assert near_duplicates(hashes, "aab", "xyz") == [[1, 2]]
    assert near_duplicates(hashes, "aab", "xyy") == []


def test_two_frames_that_change_places_are_no_copy() -> None:
    frames = film(place(0), take=0)[[0, -1]]
    assert distance(hash_frames(frames), hash_frames(frames[::-1])) > MOST


def test_the_greatest_changes_keep_their_sign() -> None:
    dark = place(0) < 120
    frames = np.repeat([dark, ~dark], [25, 35], axis=0).astype(np.uint8)
    assert distance(hash_frames(frames * 255), hash_frames(frames * 180)) < MOST


ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
FLAT = {
    "black": np.zeros((HEIGHT, WIDTH)),
    "white": np.full((HEIGHT, WIDTH), 255),
    "upright stripes": COLUMNS // 16 % 2 * 200,
    "level stripes": ROWS // 16 % 2 * 200,
    "shade": ROWS + COLUMNS,
}


@pytest.mark.parametrize("noise", [0, 10])
@pytest.mark.parametrize("name", FLAT)
def test_there_is_nothing_to_tell_a_flat_video_by(name: str, noise: float) -> None:
    shape = (40, HEIGHT, WIDTH, 3)
    frames = 20 + FLAT[name][..., None] * 0.8 + np.random.default_rng(0).normal(0, noise, shape)
    assert hash_frames(np.clip(frames, 0, 255).astype(np.uint8)) is None


def test_a_shape_on_one_colour_is_something_to_tell_by() -> None:
    assert hash_frames(film(np.full((HEIGHT, WIDTH, 3), 60), take=0)) is not None


def digits_at(start: int, *, bits: int) -> str:
    """A hash that differs from another one in the last `bits` bits."""
    return f"{start ^ (1 << bits) - 1:0256x}"


def test_pairs_up_to_the_limit_are_found_wherever_they_lie() -> None:
    rng = np.random.default_rng(0)
    starts = [int.from_bytes(rng.bytes(BITS // 8)) for _ in range(4300)]
    hashes: list[str | None] = [digits_at(start, bits=0) for start in starts]
    expected = [[0, 4299], [5, 6], [63, 64], [127, 4162], [4097, 4200]]
    for first, second in expected:
        hashes[second] = digits_at(starts[first], bits=MOST)
    hashes[9] = digits_at(starts[8], bits=MOST + 2)
    assert near_duplicates(hashes) == expected
    hashes[0] = hashes[3] = None
    hashes.insert(64, None)
    assert near_duplicates(hashes) == [[5, 6], [63, 65], [128, 4163], [4098, 4201]]


@pytest.mark.parametrize("hashes", [[], [None], [None, None], ["00" * 128]])
def test_too_few_hashes_make_no_pair(hashes: list[str | None]) -> None:
    assert near_duplicates(hashes) == []


def write_files(folder: Path, contents: Iterable[bytes]) -> tuple[list[str], list[int]]:
    paths = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.avi"
        path.write_bytes(content)
        paths.append(str(path))
    return paths, [os.path.getsize(path) for path in paths]  # noqa: PTH202


def test_files_of_the_same_bytes_are_grouped(tmp_path: Path) -> None:
    long = bytes(3_000_000)
    paths, sizes = write_files(
        tmp_path, [b"cat", long + b"a", b"dog", b"cat", b"horse", long + b"b", b"dog", b"cat"]
    )
    assert same_content(paths, sizes) == [[0, 3, 7], [2, 6]]


def test_only_files_of_equal_size_are_read(tmp_path: Path) -> None:
    paths, sizes = write_files(tmp_path, [b"cat", b"cat"])
    gone = str(tmp_path / "gone.avi")
    assert same_content([*paths, gone], [*sizes, 17]) == [[0, 1]]
    with pytest.raises(FileNotFoundError, match="gone"):
        same_content([*paths, gone], [*sizes, 3])


def test_a_file_named_repeatedly_is_no_copy_of_itself(tmp_path: Path) -> None:
    (cat, kitten, dog), _ = write_files(tmp_path, [b"cat", b"cat", b"dog"])
    assert same_content([cat, cat], [3, 3]) == []
    assert same_content([cat, cat, dog], [3, 3, 3]) == []
    assert same_content([cat, cat, kitten], [3, 3, 3]) == [[0, 1, 2]]


def test_what_is_empty_or_missing_is_like_no_other(tmp_path: Path) -> None:
    paths, _ = write_files(tmp_path, [b"", b""])
    assert same_content(paths, [0, 0]) == []
    assert same_content(["a", "b"], [-1, -1]) == []


def test_an_unknown_digest_is_like_no_other() -> None:
    assert same_digest(["a", "b", "c", "d", "c"], ["", "", "1", "1", "1"]) == [[2, 3, 4]]


@pytest.mark.parametrize("place", [0, 65_535, 500_000, 934_465, 999_999])
def test_a_sample_tells_files_apart(tmp_path: Path, place: int) -> None:
    content = bytearray(1_000_000)
    (tmp_path / "a").write_bytes(content)
    content[place] = 1
    (tmp_path / "b").write_bytes(content)
    assert sample_digest(str(tmp_path / "a")) != sample_digest(str(tmp_path / "b"))


def test_a_sample_is_taken_of_files_of_any_size(tmp_path: Path) -> None:
    marks = set()
    for num_bytes in (0, 1, 2, 2**15, 2**16 + 1, 2**36):
        with (tmp_path / "a").open("wb") as file:
            file.truncate(num_bytes)  # One with a hole: to read all of it would take minutes.
        marks.add(sample_digest(str(tmp_path / "a")))
    assert len(marks) == 6


@pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")
def test_of_real_videos_by_one_camera_only_copies_are_found(tmp_path: Path) -> None:
    root = Path(VIDEOS or "") / "ut_interaction"
    files = [file for group in ("seq02", "seq15") for file in sorted(root.glob(f"*/*_{group}_*"))]
    copies = []
    for number, suffix in ((1, "mp4"), (8, "avi")):
        copies.append(tmp_path / f"{number}.{suffix}")
        write_video(copies[-1], iter_frames(files[number], fps=25, size=(120, 160)), fps=25)
    hashes = [hash_file(file) for file in [*files, *copies]]
    assert len(files) == 12
    assert near_duplicates(hashes) == [[1, 12], [8, 13]]
    for first, second in itertools.combinations(hashes[:12], 2):
        assert distance(first, second) > MOST + 64
