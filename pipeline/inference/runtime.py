"""What runs an exported model gives: the interface of every runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
Logits = npt.NDArray[np.float32]


class Runtime(Protocol):
    """The parts of a network, see `pipeline.models.parts`, for one clip at a time.

    Threads may call one at once: each gets what it would get alone.

    Attributes:
        path: The file or folder of the model.
    """

    path: Path

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """What a clip is: `frames` and `flow` of shape (T, H, W, 3), `mask` of (T,)."""

    @property
    def num_classes(self) -> int:
        """Classes that the model tells apart (C)."""

    @property
    def state_size(self) -> int | None:
        """Length of the state of `step`; None where the network looks ahead and has no `step`."""

    def clip_logits(self, clip: Arrays) -> Logits:
        """The logits (C,) of one clip by the whole network in one call.

        Args:
            clip: What `input_shapes` names: `frames` uint8 (T, H, W, 3), RGB, `flow` of the same
                type and shape, or both; and `mask` bool (T,), true for real frames.
        """

    def features(self, pairs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """The features (N, F) of frames, by stream.

        Args:
            pairs: `frames` or `flow` or both, uint8 (N, 2, H, W, 3): each frame after the one
                before it in its clip, the first one after itself.
        """

    def logits(self, features: Arrays, mask: npt.NDArray[np.bool_]) -> Logits:
        """The logits (C,) of one clip.

        Args:
            features: (T, F) of its frames, by stream; of padding, any.
            mask: bool (T,), true for real frames.
        """

    def step(self, features: Arrays, state: Logits) -> tuple[Logits, Logits]:
        """The logits (C,) of all frames so far, and the state (S,) after one more.

        Args:
            features: (F,) of the frame, by stream.
            state: float32 (S,), see `state_size`; 0 before the first frame.
        """
