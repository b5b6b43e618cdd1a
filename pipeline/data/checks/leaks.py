"""Leaks: what would let a model be tested on what it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pipeline.data.checks.duplicates import near_duplicates, same_content
from pipeline.data.manifest import SPLITS, Row
from pipeline.data.shards.tasks import SourceVideo, VideoReport
from pipeline.text import counted, listed

Video = tuple[SourceVideo, VideoReport]


def crossing(rows: Iterable[Row]) -> list[str]:
    """Says which groups, and which video files, lie in more than one split.

    Args:
        rows: Videos with splits.

    Example:
        >>> rows = (
        ...     Row(path="/videos/a.mp4", label="wave", group="ann", split="train"),
        ...     Row(path="/videos/b.mp4", label="jump", group="ann", split="test"),
        ... )
        >>> crossing(rows)
        ["group 'ann' is in train and test"]
    """
    rows = list(rows)
    return [
        *_crossing("group", rows, lambda row: row.group),
        *_crossing("video file", rows, lambda row: row.path),
    ]


def _crossing(what: str, rows: Sequence[Row], key: Callable[[Row], str]) -> list[str]:
    first: dict[str, str] = {}
    more: dict[str, set[str]] = {}
    for row in rows:
        if first.setdefault(key(row), row.split) != row.split:
            more.setdefault(key(row), {first[key(row)]}).add(row.split)
    return [
        f"{what} {name!r} is in {' and '.join(split for split in SPLITS if split in splits)}"
        for name, splits in sorted(more.items())
    ]


def duplicates(videos: Sequence[Video]) -> list[str]:
    """Says which videos are the same, or nearly, in different splits or with different labels.

    Args:
        videos: Those that are not left out.

    Raises:
        OSError: A file whose content is to be compared cannot be read.
    """
    same = [
        [videos[index] for index in group]
        for group in same_content(
            [source.row.path for source, _ in videos], [source.num_bytes for source, _ in videos]
        )
    ]
    known = {frozenset((a[0].name, b[0].name)) for group in same for a in group for b in group}
    near = [
        [videos[first], videos[second]]
        for first, second in near_duplicates([report.hash for _, report in videos])
    ]
    near = [
        pair
        for pair in near
        if pair[0][0].file != pair[1][0].file
        and frozenset(source.name for source, _ in pair) not in known
    ]
    return [
        *(_sentence("have the same content", group) for group in same if _is_leak(group)),
        *(_sentence("look the same", pair) for pair in near if _is_leak(pair)),
    ]


def _is_leak(videos: Sequence[Video]) -> bool:
    return len({(source.row.split, source.row.label) for source, _ in videos}) > 1


def _sentence(what: str, videos: Sequence[Video]) -> str:
    names = [f"{source.name} ({source.row.split} {source.row.label})" for source, _ in videos]
    return f"{listed(names, most=10)} {what}"


def random_split(rows: Sequence[Row], *, seed: int = 0) -> dict[str, int]:
    """What splitting the same videos at random, one by one, would have leaked.

    Args:
        rows: Videos with splits.
        seed: Of the random split, which has as many test videos.

    Returns:
        `num_test` videos, of which `beside_their_group` would have had a video of their own group
        in training.
    """
    groups = {name: index for index, name in enumerate(dict.fromkeys(row.group for row in rows))}
    group = np.array([groups[row.group] for row in rows], np.int64)
    split = np.array([SPLITS.index(row.split or "train") for row in rows], np.int64)
    np.random.default_rng(seed).shuffle(split)
    trained = np.bincount(group[split == 0], minlength=len(groups)) > 0
    tested = split == SPLITS.index("test")
    return {
        "num_test": int(tested.sum()),
        "beside_their_group": int(trained[group[tested]].sum()),
    }


def describe_random_split(counts: dict[str, int]) -> str:
    """The same in words."""
    return (
        f"a random split would put {counts['beside_their_group']:,} of "
        f"{counted(counts['num_test'], 'test video')} beside training videos of the same group"
    )
