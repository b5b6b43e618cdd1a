"""The base of what runs a network in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.foreign.reading import Reading

Values = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a network takes, as its file says.

    Attributes:
        shape: (N, H, W, 3) or (N, 3, H, W), with None where any number will do.
        dtype: float32, float16, uint8 or int8.
        step: Of integers: a number is `step` times what an integer is above `zero`.
        zero: Of integers, see there.
        said: What the file says of values and the order of channels.
    """

    shape: tuple[int | None, ...]
    dtype: str
    step: float = 1.0
    zero: int = 0
    said: Reading = field(default_factory=Reading)


class NetworkFile(ABC):
    """A network of one input and one output, run by what its file is for.

    Threads may call one at once.

    Attributes:
        input: What it takes.
    """

    input: Input

    @abstractmethod
    def __call__(self, values: Values) -> Floats:
        """The output, float32 (N, ...), for an input of the shape and dtype that it takes.

        Raises:
            ValueError, RuntimeError: It cannot be run.
        """


class NoFrameNetworkError(ValueError):
    """A file that holds no network of frames; the text says why."""


def only(found: list[Any], kind: str) -> Any:
    """The only input or output of a network.

    Raises:
        NoFrameNetworkError: There are several.
    """
    if len(found) != 1:
        raise NoFrameNetworkError(f"expected one {kind}. Received: {len(found)}")
    return found[0]
