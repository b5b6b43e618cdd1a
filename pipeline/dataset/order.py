"""In which order training shows its videos, and the share of a batch that a process reads.

NumPy, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Order = Callable[[int], npt.NDArray[np.int64]]
"""From the number of an epoch to its videos; where one comes again, with N added each time."""

_MOST_REPEATS: Final = 4.0


class TrainingOrder:
    """From the number of an epoch to the videos of it, in another order each time.

    What it gives depends on the arguments alone, so that a training can go on anywhere. It is an
    order of numbers: no video waits in memory for its turn, and any video may follow any other,
    wherever they are stored.

    Args:
        labels: The label number of each video, int (N,).
        seed: Of the order.
        balanced: Whether each class is shown as often as the largest one, rather than each video
            once. What does not divide evenly goes round from epoch to epoch.

    Example:
        >>> order = TrainingOrder(np.array([0, 1, 1, 1]), seed=0, balanced=True)
        >>> sorted(order(0).tolist())  # the first video three times
        [0, 1, 2, 3, 4, 8]
    """

    def __init__(self, labels: npt.NDArray[np.int64], *, seed: int, balanced: bool) -> None:
        self._seed = seed
        counts = np.bincount(labels)
        self._count = counts[labels]
        self._times, self._rest = np.divmod(counts.max() if balanced else self._count, self._count)
        # The number of a video among those of its class.
        by_class = np.argsort(labels, kind="stable")
        before = np.cumsum(counts) - counts
        self._rank = np.empty_like(by_class)
        self._rank[by_class] = np.arange(len(labels)) - before[labels[by_class]]

    def __call__(self, epoch: int) -> npt.NDArray[np.int64]:
        """The videos of an epoch.

        Returns:
            Their numbers, from 0 to N - 1, int64 (clips of an epoch,). Where a video is shown
            again, N is added, the next time 2 N, so that each time has a number of its own.
        """
        times = self._times + ((self._rank + epoch * self._rest) % self._count < self._rest)
        videos = np.arange(len(times)).repeat(times)
        copies = np.arange(len(videos)) - (np.cumsum(times) - times)[videos]
        # The last number sets these draws apart from those of the clips.
        rng = np.random.default_rng((self._seed, epoch, 0, 2))
        return rng.permutation(videos + len(times) * copies)


class RepeatingOrder:
    """As `TrainingOrder`, where each video is shown some number of times that need not be whole.

    Args:
        times: How often in the mean, float (N,), above 0; an epoch has their sum, rounded.
        seed: Of the order.
    """

    def __init__(self, times: npt.NDArray[np.float64], *, seed: int) -> None:
        self._seed, self._times = seed, times

    def __call__(self, epoch: int) -> npt.NDArray[np.int64]:
        """The videos of an epoch, see `TrainingOrder`."""
        rng = np.random.default_rng((self._seed, epoch, 0, 2))
        order = rng.permutation(len(self._times))
        ends = np.cumsum(self._times[order])
        size = max(1, round(float(ends[-1])))
        # Marks at equal distances: each video gets as many as fall into its share.
        marks = (np.arange(size) + rng.random()) * (ends[-1] / size)
        places = np.searchsorted(ends, marks, side="right")
        copies = np.arange(size) - np.searchsorted(places, places)
        return rng.permutation(order[places] + len(order) * copies)


def repeat_factors(has_class: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """How often to show videos that may have several classes, so that rare ones are seen more.

    Args:
        has_class: bool (N, C), which classes each has.

    Returns:
        float (N,), 1 to 4: that of its rarest class, which is the root of how many times rarer it
        is than classes are in the mean.

    Source: repeat factor sampling, Gupta et al. (2019), section 4.1; here with the mean as its
    threshold, and bounded.
    """
    shares = has_class.mean(axis=0)
    there = shares > 0
    mean = shares.sum() / max(1, there.sum())
    factors = np.ones(len(shares))
    factors[there] = np.sqrt(mean / shares[there]).clip(1, _MOST_REPEATS)
    return np.where(has_class, factors, 1.0).max(axis=1, initial=1.0)


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of several processes reads.

    Attributes:
        index: The number of the process, from 0.
        count: How many there are.
        devices: Of each of them, which share its part.
    """

    index: int = 0
    count: int = 1
    devices: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether there is one process with one device."""
        return self.count * self.devices == 1

    def rows(self, batch_size: int) -> slice:
        """The clips of a batch that are read here."""
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)

    def of_each(self, batch_size: int) -> int:
        """Clips of a batch on each device."""
        return batch_size // (self.count * self.devices)

    def dealt(self, number: int, batch_size: int) -> tuple[list[int], list[bool], int]:
        """Deals batches of so many videos, a last smaller one among them, to all devices.

        Returns:
            The numbers of the videos that are read here, batch after batch, each device in turn;
            of each batch, whether it counts: so that all devices have as many, some come again;
            and how many each device has.
        """
        devices = self.count * self.devices
        num_batches = -(-number // batch_size)
        turns = -(-num_batches // devices)
        # Those that do not count come before the last one, which may be smaller.
        again = [[each % number for each in range(batch_size)]] * (turns * devices - num_batches)
        starts = range(0, number, batch_size)
        batches = [list(range(number))[start : start + batch_size] for start in starts]
        dealt = [*batches[:-1], *again, batches[-1]]
        counts = [*(True for _ in batches[:-1]), *(False for _ in again), True]
        mine = [
            turn * devices + self.index * self.devices + device
            for turn in range(turns)
            for device in range(self.devices)
        ]
        return [each for place in mine for each in dealt[place]], [counts[p] for p in mine], turns
