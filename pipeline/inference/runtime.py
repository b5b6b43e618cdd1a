"""The base of every runtime, which runs the parts of an exported model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
Floats = dict[str, npt.NDArray[np.float32]]
Logits = npt.NDArray[np.float32]

_BYTES_AT_ONCE: Final = 2**20
"""Of frames in a call of the backbone: what it computes of more leaves the processor's caches."""


class Runtime(ABC):
    """The parts of a network, see `pipeline.models.parts`, for one clip at a time.

    Threads may call one at once: each gets what it would get alone.

    Attributes:
        path: The file or folder of the model.
        num_classes: Classes that it tells apart (C).
    """

    path: Path
    num_classes: int

    @abstractmethod
    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """Shapes of what a part takes, by name and without the batch; empty: no such part."""

    @abstractmethod
    def run(self, part: str, inputs: Arrays) -> Floats:
        """Outputs of a part for a batch of inputs, in memory of their own."""

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of a clip: `frames` and `flow` (T, H, W, 3), `mask` (T,)."""
        return self.inputs("serving_default")

    def clip_logits(self, clip: Arrays) -> Logits:
        """The logits of one clip by the whole network in one call.

        They are (C,), or (T, C) where there is an answer at every frame; of padding, any.

        Args:
            clip: What `input_shapes` names: `frames` uint8 (T, H, W, 3), RGB, `flow` of the same
                type and shape, or both; and `mask` bool (T,), true for real frames.
        """
        return self._run_one("serving_default", clip)["logits"]

    def features(self, pairs: Arrays) -> Floats:
        """The features (N, F) of frames, by stream.

        Args:
            pairs: `frames` or `flow` or both, uint8 (N, 2, H, W, 3): each frame after the one
                before it in its clip, the first one after itself.
        """
        parts = [self.run("features", part) for part in _few_at_once(pairs)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def logits(self, features: Arrays, mask: npt.NDArray[np.bool_]) -> Logits:
        """The logits of one clip, (C,) or (T, C), see `clip_logits`.

        Args:
            features: (T, F) of its frames, by stream; of padding, any.
            mask: bool (T,), true for real frames.
        """
        return self._run_one("temporal", {**features, "mask": mask})["logits"]

    def _run_one(self, part: str, inputs: Arrays) -> Floats:
        found = self.run(part, {name: each[None] for name, each in inputs.items()})
        return {name: each[0] for name, each in found.items()}


def _few_at_once(pairs: Arrays) -> Iterator[Arrays]:
    number = len(next(iter(pairs.values())))
    size = sum(each.nbytes for each in pairs.values()) // number
    step = max(1, _BYTES_AT_ONCE // size)
    for start in range(0, number, step):
        yield {name: each[start : start + step] for name, each in pairs.items()}
