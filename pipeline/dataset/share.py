"""The part of each batch that one of several processes reads."""

from __future__ import annotations

from dataclasses import dataclass


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
