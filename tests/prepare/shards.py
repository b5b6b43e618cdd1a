"""Shards of seven videos of 6 stored frames each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.config import FramesConfig
from pipeline.manifest.rows import Row
from pipeline.prepare.plan import ShardTask, SourceVideo, plan_shards
from pipeline.prepare.prepared import PARTIAL
from pipeline.video import write_video

FRAMES = FramesConfig(fps=5, size=16, jpeg_quality=90)

TRAIN = {
    "run/0 ü.avi": "train",
    "wälk fast/1 ü.avi": "train",
    "run/2 ü.avi": "train",
    "wälk fast/3 ü.avi": "train",
    "run/4 ü.avi": "train",
}
SPLITS = {**TRAIN, "wälk fast/5 ü.avi": "test", "run/6.avi": "test"}


def render(path: Path, *, num_frames: int = 12, fps: float = 10, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(256, size=(num_frames, 3, 4, 3), dtype=np.uint8)
    write_video(path, blocks.repeat(8, axis=1).repeat(8, axis=2), fps=fps, codec="FFV1")
    return path


def source(root: Path, name: str, split: str) -> SourceVideo:
    row = Row(path=str(root / name), label=name.split("/")[0], group=f"g {name}", split=split)
    return SourceVideo(row=row, file=name, num_bytes=1, modified_ns=2)


def sources(root: Path, splits: dict[str, str]) -> list[SourceVideo]:
    return [source(root, name, split) for name, split in splits.items()]


def plan(root: Path, out: Path, splits: dict[str, str], shard_videos: int = 2) -> list[ShardTask]:
    return plan_shards(
        sources(root, splits), out / PARTIAL, frames=FRAMES, shard_videos=shard_videos, seed=0
    )
