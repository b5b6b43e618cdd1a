"""A video as a trained run sees it, to be looked at frame by frame."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.dataset.sampling import sample_clip
from pipeline.frames.encoding import encode_video
from pipeline.inference.bundle import Bundle, bundle_of
from pipeline.inference.clips import Images, as_batch, decode_clip
from pipeline.inference.external import networks_of
from pipeline.models.recognizer import float32_twin, load_recognizer
from pipeline.run import Run
from pipeline.streams import STREAMS

Indices = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class SeenVideo:
    """A video with the trained model of a run, which computes in float32.

    Args:
        run: A trained run.
        path: The video file.

    Attributes:
        run: The run.
        path: The file.
        config: Of the run.
        bundle: Likewise.
        model: Its recogniser.
        networks: External backbones, by stream.
        stored: What is stored of each frame, by name.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: The run cannot be used.
    """

    def __init__(self, run: Run, path: str | Path) -> None:
        self.run, self.path = run, path
        self.config, self.bundle = run.config(), bundle_of(run)
        model = load_recognizer(run.model_file, self.config, len(self.bundle.class_names))
        self.model = float32_twin(model, self.config)
        self.networks = networks_of(self.bundle, run, num_threads=os.cpu_count() or 1)
        self.stored, _ = encode_video(path, self.bundle.frames)
        self._features: dict[tuple[str, int], npt.NDArray[np.float32]] = {}

    @property
    def middle(self) -> Indices:
        """See `middle_clip`."""
        return middle_clip(self.stored, self.bundle)

    def clip(self, indices: Indices) -> Images:
        """See `clip_of`."""
        return clip_of(self.stored, indices, self.bundle)

    def logits(self, indices: Indices) -> Logits:
        """The logits (C,) of the clip that has these of the stored frames."""
        clip = self.clip(indices)
        for stream in self.networks:
            clip[f"{stream}_features"] = self._features_of(stream, indices, clip)
        batch = as_batch(clip, self.bundle.clip.num_frames)
        taken = {name: batch[name] for name in self.model.input}
        logits: Logits = self.model.predict_on_batch(taken)[0]
        return logits

    def mean_logits(self) -> Logits:
        """The same of all clips that classifying looks at, their mean."""
        cut = self.bundle.clip
        chosen = (sample_clip(self._length, cut, view=view) for view in range(cut.views))
        mean: Logits = np.mean([self.logits(indices[mask]) for indices, mask in chosen], axis=0)
        return mean

    @property
    def _length(self) -> int:
        return len(self.stored["frames"])

    def _features_of(self, stream: str, indices: Indices, clip: Images) -> npt.NDArray[np.float32]:
        """What an external backbone gives, which is asked once for each frame."""
        new = [place for place, i in enumerate(indices) if (stream, int(i)) not in self._features]
        if new:
            found = self.networks[stream](clip[STREAMS[stream].image.name][new])
            self._features |= {
                (stream, int(indices[place])): row for place, row in zip(new, found, strict=True)
            }
        return np.stack([self._features[stream, int(i)] for i in indices])


def middle_clip(stored: dict[str, list[bytes]], bundle: Bundle) -> Indices:
    """Indices of the stored frames that the middle clip has, without padding."""
    indices, mask = sample_clip(len(stored["frames"]), bundle.clip)
    return indices[mask]


def clip_of(stored: dict[str, list[bytes]], indices: Indices, bundle: Bundle) -> Images:
    """Some of the stored frames of a video, and what else the model takes of them."""
    clip = {name: [each[index] for index in indices] for name, each in stored.items()}
    return decode_clip(clip, bundle)
