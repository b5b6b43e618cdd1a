"""95 % intervals of accuracies and of their differences, where videos of a group are alike.

Both count videos for fewer than they are: by the design effect, which is how much wider the
variance of a mean is over groups than it would be over as many independent videos. Few groups, or
few mistakes, say little of it; so it is drawn towards that of videos which are clearly alike, as
if 24 groups had shown that. How often the intervals then hold the truth is simulated by
`clipline benchmark intervals`.

Source: the design effect, Kish (1965), sections 5.4 and 8.2; intervals with an effective sample
size, Korn and Graubard (1998); variances drawn towards a prior one, Smyth (2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.number[Any]]
Floats = npt.NDArray[np.float64]

FEWEST_GROUPS = 3
_PRIOR_CORRELATION = {"accuracy": 0.4, "difference": 0.55}
"""Of two videos of one group, before any is seen: the least with which the simulation covers."""
_PRIOR_GROUPS = 24
_TAIL = 0.025


def accuracy_interval(correct: npt.NDArray[np.bool_], groups: Sequence[str]) -> list[float] | None:
    """95 % interval of the share of videos that are answered rightly.

    Args:
        correct: bool (N,), which videos were answered rightly.
        groups: Group of each video.

    Returns:
        Lower and upper end, from 0 to 1, or None with fewer than 3 groups.

    Example:
        >>> groups = [str(number // 10) for number in range(120)]
        >>> [round(end, 3) for end in accuracy_interval(np.ones(120, bool), groups)]
        [0.868, 1.0]
    """
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    if len(sizes) < FEWEST_GROUPS:
        return None
    return [float(end) for end in accuracy_ends(np.bincount(group, weights=correct), sizes)]


def difference_interval(differences: Counts, groups: Sequence[str]) -> list[float] | None:
    """95 % interval of the mean difference of two models over the same videos.

    Args:
        differences: (N,), of each video 1: only the one model is right, -1: only the other, 0.
        groups: Group of each video.

    Returns:
        Lower and upper end, from -1 to 1, or None with fewer than 3 groups.
    """
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    if len(sizes) < FEWEST_GROUPS:
        return None
    wins, losses = (np.bincount(group, weights=differences == sign) for sign in (1, -1))
    return [float(end) for end in difference_ends(wins, losses, sizes)]


def accuracy_ends(right: Counts, sizes: Counts) -> Floats:
    """The interval of each of many accuracies at once.

    Args:
        right: (..., G), how many videos of each group are answered rightly.
        sizes: (G,), how many there are; 3 groups or more.

    Returns:
        (2, ...), lower and upper ends.

    Source: Clopper and Pearson (1934), with the effective sample size.
    """
    from scipy.special import betaincinv

    share = right.sum(axis=-1) / sizes.sum()
    telling = np.minimum((right > 0).sum(axis=-1), (right < sizes).sum(axis=-1))
    number, _ = _effective(right, share * (1 - share), telling, sizes, "accuracy")
    hits, misses = share * number, (1 - share) * number
    low = betaincinv(np.where(hits > 0, hits, 1), misses + 1, _TAIL)
    high = betaincinv(hits + 1, np.where(misses > 0, misses, 1), 1 - _TAIL)
    return np.stack([np.where(hits > 0, low, 0.0), np.where(misses > 0, high, 1.0)])


def difference_ends(wins: Counts, losses: Counts, sizes: Counts) -> Floats:
    """The interval of each of many differences at once.

    Args:
        wins: (..., G), for how many videos of each group only the one model is right.
        losses: (..., G), for how many only the other.
        sizes: (G,), how many videos there are; 3 groups or more.

    Returns:
        (2, ...), lower and upper ends.

    Source: half a video more in each cell of the table of pairs, Agresti and Min (2005), with the
    effective sample size and the quantiles of Student's t.
    """
    from scipy.special import stdtrit

    better, worse = wins.sum(axis=-1) / sizes.sum(), losses.sum(axis=-1) / sizes.sum()
    variance = better + worse - (better - worse) ** 2
    telling = (wins + losses > 0).sum(axis=-1)
    number, freedom = _effective(wins - losses, variance, telling, sizes, "difference")
    better, worse = ((share * number + 0.5) / (number + 2) for share in (better, worse))
    middle = better - worse
    error = np.sqrt((better + worse - middle**2) / (number + 2))
    reach = stdtrit(freedom, 1 - _TAIL) * error
    return np.clip(np.stack([middle - reach, middle + reach]), -1, 1)


def _effective(
    sums: Counts, variance: Floats, telling: Counts, sizes: Counts, kind: str
) -> tuple[Floats, Floats]:
    """Number of independent videos that tell as much, and its degrees of freedom.

    Args:
        sums: (..., G), the sum of the values of each group.
        variance: (...), that of the values of single videos.
        telling: (...), how many groups show whether their videos are alike.
        sizes: (G,), how many videos there are.
        kind: Says which prior correlation.
    """
    total, num_groups = sizes.sum(), len(sizes)
    mean_size = (sizes**2).sum() / total  # of the group of a video
    mean = sums.sum(axis=-1, keepdims=True) / total
    moved = (sums - mean * sizes) / (total - sizes)  # the mean, when a group is left out
    over_groups = (num_groups - 1) / num_groups * (moved**2).sum(axis=-1)
    over_videos = np.where(variance > 0, variance, 1) / total
    effect = np.where(variance > 0, over_groups / over_videos, 0)
    prior = 1 + (mean_size - 1) * _PRIOR_CORRELATION[kind]
    weight = np.minimum(telling, total / mean_size - 1)
    effect = (_PRIOR_GROUPS * prior + weight * effect) / (_PRIOR_GROUPS + weight)
    return total / np.maximum(effect, 1), _PRIOR_GROUPS + weight
