"""Runs with external backbones, whose files lie beside the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.errors import DataError
from pipeline.external import FrameNetwork, file_of, open_backbone
from pipeline.inference.bundle import Bundle
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.run import Run
from pipeline.streams import IMAGES, STREAMS

Networks = Mapping[str, FrameNetwork]
"""Networks by the stream whose frames they take."""


def networks_of(bundle: Bundle, run: Run, *, num_threads: int = 1) -> Networks:
    """Opens the external backbones that lie in the folder of a run.

    Raises:
        DataError: One is not there, or cannot be used.
        ConfigError: The package that runs it is missing.
    """
    found = {}
    for stream, reading in bundle.external.items():
        path = file_of(run.backbones, stream)
        if not path:
            raise DataError(
                f"{run.backbones}: the backbone of the stream {stream} is not there. Copy it from "
                f"the run, or export it again: {run.export_command()}"
            )
        side = bundle.frames.side
        found[stream] = open_backbone(path, reading, size=side, num_threads=num_threads)
    return found


def with_networks(runtime: Runtime, networks: Networks, bundle: Bundle) -> Runtime:
    """A runtime that takes frames, also for streams with external backbones.

    Raises:
        DataError: The features are not as many as the model takes.
    """
    return _WithNetworks(runtime, networks, bundle) if networks else runtime


def inputs_of(clips: Arrays, networks: Networks, wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """What a model takes of clips, images (B, T, H, W, 3): these, or external `STREAM_features`.

    Args:
        clips: By name; what else is there, such as the mask, stays.
        networks: External backbones.
        wanted: Names of what it takes.
    """
    found = {
        f"{stream}_features": np.stack([network(clip) for clip in clips[_image(stream)]])
        for stream, network in networks.items()
    }
    return {name: found[name] if name in found else clips[name] for name in wanted}


def _image(stream: str) -> str:
    return STREAMS[stream].image.name


class _WithNetworks(Runtime):
    """See `with_networks`."""

    def __init__(self, runtime: Runtime, networks: Networks, bundle: Bundle) -> None:
        self._runtime, self._networks, self._bundle = runtime, networks, bundle
        self.path, self.num_classes = runtime.path, runtime.num_classes
        taken = runtime.inputs("temporal")
        for stream, network in networks.items():
            wanted = taken.get(f"{stream}_features", (0,))[-1]
            if wanted != network.num_features:
                raise DataError(
                    f"{self.path}: takes {wanted} features of the stream {stream}, and the network "
                    f"beside it gives {network.num_features}. Copy both from one run"
                )

    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """See `Runtime`."""
        inputs = self._runtime.inputs(part)
        if part != "serving_default":
            return inputs
        length, frames = self._bundle.clip.num_frames, self._bundle.frames
        images = {name: (length, *IMAGES[name].shape(frames)) for name in self._images}
        others = {f"{stream}_features" for stream in self._networks}
        return {**images, **{name: each for name, each in inputs.items() if name not in others}}

    def run(self, part: str, inputs: Arrays) -> Floats:
        """See `Runtime`."""
        if part == "serving_default":
            taken = self._runtime.inputs(part)
            return self._runtime.run(part, inputs_of(inputs, self._networks, taken))
        if part != "features":
            return self._runtime.run(part, inputs)
        own = {name: inputs[name] for name in self._runtime.inputs(part)}
        found = self._runtime.run(part, own) if own else {}
        others = {
            f"{stream}_features": network(inputs[_image(stream)][:, 1])
            for stream, network in self._networks.items()
        }
        return {**found, **others}

    @property
    def _images(self) -> set[str]:
        return {_image(stream) for stream in self._networks}
