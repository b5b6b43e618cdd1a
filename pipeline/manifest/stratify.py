"""Drawing whole groups of videos so that the classes keep their shares."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.manifest.rows import Manifest, Row

_MAX_FOLDS = 20
_MANY_GROUPS = 2000  # scikit-learn takes seconds for more
_CLOSE_ENOUGH = 0.01  # to a wanted share of the videos; more folds come closer but mix less well


def draw_groups(rows: Sequence[Row], num_videos: float, seed: int) -> set[str]:
    """Draws whole groups with about `num_videos` videos in the classes' proportions.

    Every class of `rows` keeps a group that is not drawn; where that leaves none to draw, the
    result is empty.
    """
    counts = _count(rows)
    share = num_videos / max(1, len(rows))
    wanted = counts.by_class() * share
    best: tuple[int, float] | None = None
    drawn: np.ndarray = np.zeros(len(counts.groups), bool)
    for candidate in _candidates(counts, share, seed):
        _give_back(candidate, counts)
        held_out = counts.by_class(candidate)
        score = (int((held_out == 0).sum()), float(np.abs(held_out - wanted).sum()))
        if candidate.any() and (best is None or score < best):
            best, drawn = score, candidate
    return {counts.groups[index] for index in np.flatnonzero(drawn)}


def cut_folds(rows: Sequence[Row], num_folds: int, seed: int) -> list[set[str]]:
    """Cuts the groups into 2 folds or more that have about the same share of each class."""
    counts = _count(rows)
    partition = next(_partitions(counts, num_folds, attempts=1, seed=seed))
    return [{counts.groups[index] for index in fold} for fold in partition]


def hold_out_fold(rows: Sequence[Row], num_folds: int, fold: int, seed: int) -> set[str]:
    """The groups of one of the folds, from 1, but those without which a class would have none."""
    counts, chosen = _count(rows), cut_folds(rows, num_folds, seed)[fold - 1]
    held_out = np.array([group in chosen for group in counts.groups])
    _give_back(held_out, counts)
    return {counts.groups[index] for index in np.flatnonzero(held_out)}


@dataclasses.dataclass(frozen=True)
class _Counts:
    """Numbers of videos of each class in each group, where it has any.

    Attributes:
        groups: Names of the groups.
        num_classes: Number of classes.
        group: int (P,): for each pair of a group and a class of it, the index of the group.
        label: int (P,): the index of the class.
        videos: int (P,): the videos.
    """

    groups: tuple[str, ...]
    num_classes: int
    group: np.ndarray
    label: np.ndarray
    videos: np.ndarray

    def by_class(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Videos of each class, float (classes,), in the chosen groups, bool (groups,), or all."""
        pairs = slice(None) if chosen is None else chosen[self.group]
        return np.bincount(self.label[pairs], self.videos[pairs], minlength=self.num_classes)


def _count(rows: Sequence[Row]) -> _Counts:
    manifest = Manifest(rows=tuple(rows))
    groups, class_names = manifest.groups, manifest.class_names
    group_index = {name: index for index, name in enumerate(groups)}
    class_index = {name: index for index, name in enumerate(class_names)}
    keys = np.array(
        [
            group_index[row.group] * len(class_names) + class_index[label]
            for row in rows
            for label in row.labels
        ],
        np.int64,
    )
    pairs, videos = np.unique(keys, return_counts=True)
    group, label = np.divmod(pairs, max(1, len(class_names)))
    return _Counts(groups, len(class_names), group, label, videos)


def _candidates(counts: _Counts, share: float, seed: int) -> Iterator[np.ndarray]:
    """Yields choices of groups, bool (groups,): neighbouring folds."""
    num_groups = len(counts.groups)
    largest_class = int(counts.by_class().max(initial=0))
    num_labelled = len(np.unique(counts.group))
    num_folds, num_taken = _folds(share, min(num_labelled, largest_class))
    if not num_folds:
        return
    # The folds are made greedily: the more groups, the longer it takes and the less luck counts.
    attempts = max(1, min(20, 1000 // num_groups))
    for parts in _partitions(counts, num_folds, attempts=attempts, seed=seed):
        for first in range(num_folds):
            taken = itertools.islice(itertools.cycle(parts), first, first + num_taken)
            candidate = np.zeros(num_groups, bool)
            candidate[np.concatenate(list(taken))] = True
            yield candidate


def _partitions(
    counts: _Counts, num_folds: int, *, attempts: int, seed: int
) -> Iterator[list[np.ndarray]]:
    """Yields stratified folds of the groups: for each fold, the indices of its groups."""
    rng = np.random.default_rng(seed)
    most = min(len(np.unique(counts.group)), counts.by_class().max(initial=0))
    if len(counts.groups) > _MANY_GROUPS or num_folds > most:  # which scikit-learn refuses
        for _ in range(attempts):
            yield _dealt(counts, num_folds, rng)
        return
    from sklearn.model_selection import StratifiedGroupKFold  # takes more than a second

    group_of, class_of = (axis.repeat(counts.videos) for axis in (counts.group, counts.label))
    for state in rng.integers(2**31, size=attempts):
        folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=int(state))
        with warnings.catch_warnings():
            # A class with fewer videos than folds is in some folds only, which the score weighs.
            warnings.simplefilter("ignore")
            splits = folds.split(class_of, class_of, group_of)
            yield [np.unique(group_of[index]) for _, index in splits]


def _dealt(counts: _Counts, num_folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deals groups out like cards, class by class: with many of them, the shares are right."""
    num_groups = len(counts.groups)
    main_class = np.zeros(num_groups, np.int64)
    order = np.argsort(counts.videos, kind="stable")
    main_class[counts.group[order]] = counts.label[order]  # that of most videos comes last
    dealt = np.lexsort((rng.random(num_groups), main_class))
    return [dealt[first::num_folds] for first in range(num_folds)]


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


def _give_back(candidate: np.ndarray, counts: _Counts) -> None:
    """Takes groups out of a choice until every class has a group that is not chosen."""
    sizes = np.bincount(counts.group, counts.videos, minlength=len(counts.groups))
    all_groups, chosen = (
        np.bincount(counts.label[pairs], minlength=counts.num_classes)
        for pairs in (slice(None), candidate[counts.group])
    )
    for label in np.flatnonzero(all_groups == chosen):
        groups = counts.group[counts.label == label]
        if candidate[groups].all():  # One may have been given back for another class.
            candidate[groups[sizes[groups].argmin()]] = False
