"""Whether a step of a training fits into the memory of the machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pipeline.config import RunConfig
from pipeline.errors import ConfigError

_OF_GROUP = Path("/sys/fs/cgroup/memory.max")
"""What a container may take, where it is limited."""


def check_memory(config: RunConfig, *, on_gpu: bool, share: float = 1) -> None:
    """Refuses clips and batches that cannot fit, before hours go by or the system ends the process.

    Counted is what a step holds at the very least: the frames as bytes and as float32, and on a
    processor what the first convolution of `cnn` and its normalisation give.

    Args:
        config: The run, with the frames of its data set.
        on_gpu: Whether the network computes in memory of its own.
        share: Of each batch, what lies on this machine: above 0 to 1.

    Raises:
        ConfigError: It takes more than the machine has.
    """
    clip = _clip_bytes(config, on_gpu=on_gpu) * share
    needed, there = clip * config.train.batch_size, _memory()
    if needed > there:
        most = int(there / clip)
        lower = f"train.batch_size below {most}" if most > 1 else "clip.num_frames"
        part = "a step" if share == 1 else "the part that this machine has of a step"
        raise ConfigError(
            f"{part} of train.batch_size {config.train.batch_size} clips of clip.num_frames "
            f"{config.clip.num_frames} takes at least {needed / 1e9:.0f} GB of memory, this "
            f"machine has {there / 1e9:.0f} GB. Choose {lower}"
        )


def _clip_bytes(config: RunConfig, *, on_gpu: bool) -> int:
    a_pixel = 3 * (1 + 4) * len(config.model.images)
    number_bytes = 4 if config.train.precision == "float32" else 2
    for backbone in map(config.backbone_of, config.model.streams):
        if backbone.name == "cnn" and not (on_gpu or config.train.cache_features):
            a_pixel += 2 * number_bytes * backbone.filters[0]
    return a_pixel * config.frames.side**2 * config.clip.num_frames


def _memory() -> float:
    """Bytes that this process may have."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _OF_GROUP.read_text().strip() if _OF_GROUP.is_file() else "max"
    return min(machine, int(limit) if limit.isdecimal() else math.inf)
