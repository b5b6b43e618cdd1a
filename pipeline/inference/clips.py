"""From the stored images of a video to the logits of its clips: what all of inference shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.sampling import Indices, Mask, sample_clip
from pipeline.inference.bundle import Bundle
from pipeline.inference.runtimes import Logits, Runtime
from pipeline.video import decode_flow, decode_jpeg

Images = dict[str, npt.NDArray[np.uint8]]
"""`frames` or `flow` or both of one moment, each (H, W, 3)."""

_DECODE = {"frames": decode_jpeg, "flow": decode_flow}


def decode_images(stored: Mapping[str, bytes], bundle: Bundle) -> Images:
    """Decodes what a model takes of one moment of a video."""
    return {name: _DECODE[name](stored[name]) for name in bundle.model.images}


def pairs_of(moments: Sequence[Images], before: Images | None = None) -> dict[str, Any]:
    """Each moment after the one before it, uint8 (N, 2, H, W, 3), as `Runtime.features` takes it.

    Args:
        moments: Moments in their order.
        before: The moment before the first one; None: the first one itself.
    """
    previous = [before or moments[0], *moments[:-1]]
    return {
        name: np.stack(
            [np.stack([a[name], b[name]]) for a, b in zip(previous, moments, strict=True)]
        )
        for name in moments[0]
    }


def padded(features: Mapping[str, npt.NDArray[np.float32]], length: int) -> dict[str, Any]:
    """The features (N, F) of the real frames of a clip, filled up with 0 to (length, F)."""
    return {
        name: np.pad(rows, ((0, length - len(rows)), (0, 0))) for name, rows in features.items()
    }


class ClipModel:
    """A model with what it is given.

    Args:
        runtime: The model.
        bundle: What it is given.
    """

    def __init__(self, runtime: Runtime, bundle: Bundle) -> None:
        self.runtime, self.bundle = runtime, bundle

    def video_logits(self, images: Mapping[str, Sequence[bytes]]) -> Logits:
        """Mean logits (C,) over the views of a video.

        Args:
            images: `frames` or `flow` or both, one JPEG a stored frame, as the model takes them.
        """
        clip = self.bundle.clip
        num_frames = len(next(iter(images.values())))
        chosen = (sample_clip(num_frames, clip, view=view) for view in range(clip.views))
        mean: Logits = np.mean([self._clip_logits(images, *each) for each in chosen], axis=0)
        return mean

    def _clip_logits(
        self, images: Mapping[str, Sequence[bytes]], indices: Indices, mask: Mask
    ) -> Logits:
        moments = [
            decode_images({name: each[index] for name, each in images.items()}, self.bundle)
            for index in indices[mask]
        ]
        features = self.runtime.features(pairs_of(moments))
        return self.runtime.logits(padded(features, len(mask)), mask)
