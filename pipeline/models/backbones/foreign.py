"""The network of others that a stream has in place of one in the graph."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import RunConfig
from pipeline.foreign import FrameNetwork, open_network


def foreign_network(config: RunConfig, stream: str, *, num_threads: int = 1) -> FrameNetwork:
    """Opens the network of a stream of `RunConfig.foreign`, see `open_network`."""
    backbone, side = config.backbone_of(stream), config.frames.side
    return open_network(Path(backbone.name), backbone.reading, size=side, num_threads=num_threads)
