"""Leaks: what would let a model be tested on what it was trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pipeline.manifest.rows import SPLITS, Row
from pipeline.prepare.duplicates import Joined, near_duplicates, same_digest
from pipeline.prepare.plan import SourceVideo, Video
from pipeline.text import counted, listed

_MOST_NAMES = 10


def crossing(rows: Iterable[Row]) -> list[str]:
    """Says which groups or video files lie in two splits, and which parts of files have two labels.

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
        *_ambiguous(rows),
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


def _ambiguous(rows: Sequence[Row]) -> list[str]:
    first: dict[str, str] = {}
    videos = [row for row in rows if not row.annotation]
    several = {row.path for row in videos if first.setdefault(row.path, row.label) != row.label}
    parts: dict[str, list[Row]] = {path: [] for path in sorted(several)}
    for row in videos:
        if row.path in several:
            parts[row.path].append(row)
    return [
        f"video file {path!r} is labelled {' and '.join(map(repr, labels))} at the same time"
        for path, rows in parts.items()
        if (labels := _labels_at_once(rows))
    ]


def _labels_at_once(parts: Sequence[Row]) -> list[str]:
    """The labels of parts of one file that overlap and do not have the same label."""
    found: set[str] = set()
    ends: dict[str, float] = {}  # of each label so far
    for row in sorted(parts, key=lambda row: row.start_seconds):
        others = {label for label, end in ends.items() if end > row.start_seconds} - {row.label}
        found |= {*others, row.label} if others else set()
        ends[row.label] = max(row.end_seconds, ends.get(row.label, 0.0))
    return sorted(found)


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """Videos that are the same, or nearly.

    Attributes:
        sources: Two or more.
        what: What is the same about them, in words.
    """

    sources: tuple[SourceVideo, ...]
    what: str

    @property
    def is_leak(self) -> bool:
        """Whether they are in different splits or, of videos, have different labels."""
        rows = [source.row for source in self.sources]
        labels = {"" if row.annotation else row.label for row in rows}
        return len({row.split for row in rows}) > 1 or len(labels) > 1


def copied(sources: Sequence[SourceVideo], copies: Iterable[Sequence[int]]) -> list[Duplicate]:
    """Names files that hold the same bytes, by the groups of their indices."""
    return [
        Duplicate(tuple(sources[i] for i in group), "have the same content") for group in copies
    ]


def duplicates(videos: Sequence[Video]) -> list[Duplicate]:
    """Finds videos that are the same, or nearly, among those that are not left out.

    Parts of one file, or of files of one group, do not count as such: they may look the same.
    """
    sources = [video.source for video in videos]
    paths = [source.row.path for source in sources]
    same = copied(sources, same_digest(paths, [video.file.digest for video in videos]))
    # Of copies, the first is compared for all: a video that looks like another copy leaks where the
    # two copies do, or where the first does.
    contents = {
        (video.file.digest or video.name, *video.row.trim_cells): index
        for index, video in reversed([*enumerate(videos)])
    }
    compared = [videos[index] for index in sorted(contents.values())]
    near = near_duplicates(
        [video.look.hash for video in compared],
        [video.source.file for video in compared],
        [video.row.group if video.row.is_trim else video.name for video in compared],
    )
    alike = (tuple(compared[index].source for index in group) for group in near)
    return [*same, *(Duplicate(group, "look the same") for group in alike)]


def leaking(found: Iterable[Duplicate]) -> list[str]:
    """Says which duplicates are in different splits or have different labels."""
    return [_sentence(each.sources, each.what) for each in found if each.is_leak]


def harmless(found: Iterable[Duplicate]) -> list[str]:
    """Says which duplicates are in one split and have one label."""
    groups = [each.sources for each in found if not each.is_leak]
    sources = list({source.name: source for group in groups for source in group}.values())
    places = {source.name: place for place, source in enumerate(sources)}
    joined = Joined(len(sources))  # lest many copies of one are all pairs
    for group in groups:
        joined.join([places[source.name] for source in group])
    alike = ([sources[place] for place in group] for group in joined.groups())
    return [_sentence(group, "are the same, or nearly") for group in alike]


def _sentence(sources: Sequence[SourceVideo], what: str) -> str:
    places = [f" ({source.row.split} {source.row.label})" for source in sources]
    names = [
        source.name + (place if source.row.label else "")
        for source, place in zip(sources, places, strict=True)
    ]
    in_all = f" ({len(names):,} in all)" if len(names) > _MOST_NAMES else ""
    return f"{listed(names, most=_MOST_NAMES)}{in_all} {what}"


def random_split(rows: Sequence[Row]) -> dict[str, int]:
    """The leak of splitting the same videos at random, one by one.

    Of `num_test` videos, as many as there are, `beside_their_group` would have had a video of their
    own group in training.
    """
    groups = {name: index for index, name in enumerate(dict.fromkeys(row.group for row in rows))}
    group = np.array([groups[row.group] for row in rows], np.int64)
    split = np.array([SPLITS.index(row.split or "train") for row in rows], np.int64)
    np.random.default_rng(0).shuffle(split)
    trained = np.bincount(group[split == 0], minlength=len(groups)) > 0
    tested = split == SPLITS.index("test")
    return {"num_test": int(tested.sum()), "beside_their_group": int(trained[group[tested]].sum())}


def describe_random_split(counts: dict[str, int]) -> str:
    """The same in words."""
    return (
        f"a random split would put {counts['beside_their_group']:,} of "
        f"{counted(counts['num_test'], 'test video')} beside training videos of the same group"
    )
