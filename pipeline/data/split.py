"""Splitting a manifest into training, validation and test videos, whole groups at a time."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.data.manifest import Manifest, Row, Split
from pipeline.errors import ConfigError, DataError
from pipeline.text import counted, listed, nearest

_MAX_FOLDS = 20
_CLOSE_ENOUGH = 0.01  # to a wanted share of the videos; more folds come closer but mix less well


def split_by_group(
    manifest: Manifest,
    *,
    val_fraction: float,
    test_fraction: float,
    test_groups: Sequence[str] = (),
    seed: int,
) -> Manifest:
    """Gives each video a split, so that each group lies in one split only.

    The share of each class in validation and test comes as close to the fractions as whole groups
    allow. A class that has videos of one group only stays in training. The result depends on
    labels, groups and seed, not on the order of rows or on their paths.

    Args:
        manifest: The videos; splits they have are dropped.
        val_fraction: Share of all videos for validation, from 0 (no such split) to below 1.
        test_fraction: Share of all videos for the test; does not count with `test_groups`.
        test_groups: The groups of the test split; without them they are drawn.
        seed: Of the draw; 0 or above.

    Returns:
        The same rows in the same order, with splits.

    Raises:
        ConfigError: A test group does not exist, or the fractions leave nothing for training.
        DataError: There are too few groups, or a class would have no video for training.
    """
    rows = manifest.rows
    _check_test_groups(test_groups, manifest)
    if val_fraction + (0 if test_groups else test_fraction) >= 1:
        raise ConfigError(
            "expected --val-fraction and --test-fraction to leave videos for training, "
            f"got {val_fraction} and {test_fraction}."
        )
    splits: dict[str, Split] = dict.fromkeys(test_groups, "test")
    if test_fraction and not test_groups:
        drawn = _draw_groups(rows, test_fraction * len(rows), seed)
        splits |= dict.fromkeys(_expect_some(drawn, "test", manifest), "test")
    rest = [row for row in rows if row.group not in splits]
    _check_training_classes(rest, manifest)
    if val_fraction:
        drawn = _draw_groups(rest, val_fraction * len(rows), seed)
        splits |= dict.fromkeys(_expect_some(drawn, "val", manifest), "val")
    split_rows = (dataclasses.replace(row, split=splits.get(row.group, "train")) for row in rows)
    return Manifest(rows=tuple(split_rows))


def _check_test_groups(test_groups: Sequence[str], manifest: Manifest) -> None:
    for name in test_groups:
        if name not in manifest.groups:
            raise ConfigError(
                f"--test-groups: expected names of groups, got {name!r}; "
                f"did you mean {nearest(name, manifest.groups)!r}? There are "
                f"{counted(len(manifest.groups), 'group')}: {listed(manifest.groups, most=20)}."
            )


def _expect_some(groups: set[str], split: Split, manifest: Manifest) -> set[str]:
    if not groups:
        raise DataError(
            f"expected enough groups to hold some out for {split}, got {len(manifest.groups)} "
            f"({listed(manifest.groups)}), and "
            "each class must keep one for training. Add videos of other groups, choose smaller "
            f"groups with --group-regex, or do without this split: --{split}-fraction 0."
        )
    return groups


def _check_training_classes(rest: Sequence[Row], manifest: Manifest) -> None:
    missing = sorted(set(manifest.class_names) - {row.label for row in rest})
    if missing:
        raise DataError(
            "expected videos of each class for training, but all videos of "
            f"{', '.join(map(repr, missing))} are held out. Hold out fewer groups."
        )


def _draw_groups(rows: Sequence[Row], num_videos: float, seed: int) -> set[str]:
    """Draws whole groups with about `num_videos` videos in the classes' proportions.

    Every class of `rows` keeps a group that is not drawn; where that leaves none to draw, the
    result is empty.
    """
    counts = _count(rows)
    share = num_videos / max(1, len(rows))
    wanted = counts.videos.sum(axis=0) * share
    best: tuple[int, float] | None = None
    drawn: np.ndarray = np.zeros(len(counts.groups), bool)
    for candidate in _candidates(counts, share, seed):
        _give_back(candidate, counts.videos)
        held_out = counts.videos[candidate].sum(axis=0)
        score = (int((held_out == 0).sum()), float(np.abs(held_out - wanted).sum()))
        if candidate.any() and (best is None or score < best):
            best, drawn = score, candidate
    return {counts.groups[index] for index in np.flatnonzero(drawn)}


@dataclasses.dataclass(frozen=True)
class _Counts:
    """Groups by name, and their videos of each class: int (groups, classes)."""

    groups: tuple[str, ...]
    videos: np.ndarray


def _count(rows: Sequence[Row]) -> _Counts:
    manifest = Manifest(rows=tuple(rows))
    group_index = {name: index for index, name in enumerate(manifest.groups)}
    class_index = {name: index for index, name in enumerate(manifest.class_names)}
    videos = np.zeros((len(group_index), len(class_index)), int)
    for row in rows:
        videos[group_index[row.group], class_index[row.label]] += 1
    return _Counts(manifest.groups, videos)


def _candidates(counts: _Counts, share: float, seed: int) -> Iterator[np.ndarray]:
    """Yields choices of groups, bool (groups,): neighbouring folds of stratified group k-folds."""
    from sklearn.model_selection import StratifiedGroupKFold  # takes more than a second

    num_groups = len(counts.groups)
    group_of, class_of = (
        axis.repeat(counts.videos[counts.videos > 0]) for axis in np.nonzero(counts.videos)
    )
    largest_class = int(counts.videos.sum(axis=0).max(initial=0))
    num_folds, num_taken = _folds(share, min(num_groups, largest_class))
    if not num_folds:
        return
    # The folds are made greedily: the more groups, the longer it takes and the less luck counts.
    attempts = max(1, min(20, 1000 // num_groups))
    for state in np.random.default_rng(seed).integers(2**31, size=attempts):
        folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=int(state))
        with warnings.catch_warnings():
            # A class with fewer videos than folds is in some folds only, which the score weighs.
            warnings.simplefilter("ignore")
            parts = [group_of[index] for _, index in folds.split(class_of, class_of, group_of)]
        for first in range(num_folds):
            taken = itertools.islice(itertools.cycle(parts), first, first + num_taken)
            candidate = np.zeros(num_groups, bool)
            candidate[np.concatenate(list(taken))] = True
            yield candidate


def _folds(share: float, most: int) -> tuple[int, int]:
    """Returns in how many folds to cut, at most `most`, and how many of them to take; or zeros.

    Example:
        >>> [_folds(0.15, 20), _folds(0.3, 20), _folds(0.15, 4), _folds(0.15, 1)]
        [(7, 1), (10, 3), (4, 1), (0, 0)]
    """
    choices = [
        (max(0, abs(taken / folds - share) - _CLOSE_ENOUGH), folds, taken)
        for folds in range(2, min(most, _MAX_FOLDS) + 1)
        for taken in (min(max(1, round(share * folds)), folds - 1),)
    ]
    _, folds, taken = min(choices, default=(0, 0, 0))
    return folds, taken


def _give_back(candidate: np.ndarray, videos: np.ndarray) -> None:
    """Takes groups out of a choice until every class has a group that is not chosen."""
    for label in range(videos.shape[1]):
        groups = np.flatnonzero(videos[:, label])
        if candidate[groups].all():
            candidate[groups[videos[groups].sum(axis=1).argmin()]] = False
