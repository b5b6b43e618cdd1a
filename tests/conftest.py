"""A tiny data set and two runs trained on it, made once for all modules that need them.

A blob moves to the right or to the left, around the border. Each video of one class is one of the
other class backwards, so that frames tell nothing: the order of them is all there is to learn.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import (
    AugmentConfig,
    BackboneConfig,
    ClipConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
    TrainConfig,
)
from pipeline.config.prepare import PrepareConfig
from pipeline.data.prepare import prepare
from pipeline.data.store import Store
from pipeline.run import Run
from pipeline.video import write_video


def blob(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    x, y, speed = rng.integers(32), rng.integers(24), rng.integers(2, 4)
    background = rng.integers(60, size=(4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([background] * num_frames)
    colour = rng.integers(100, 256, 3)
    for index, frame in enumerate(frames):
        frame[y : y + 8, (x + speed * index + np.arange(8)) % 32] = colour
    return frames


@pytest.fixture(scope="session")
def blob_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty groups of four videos; every third group has two that are too short for a clip."""
    root = tmp_path_factory.mktemp("blobs") / "videos"
    for label in ("left", "right"):
        (root / label).mkdir(parents=True)
    for group in range(20):
        rng = np.random.default_rng(group)
        for take in range(2):
            frames = blob(rng, 5 if take and group % 3 == 0 else 12)
            for label, ordered in (("right", frames), ("left", frames[::-1])):
                path = root / label / f"g{group:02d} {take}.avi"
                write_video(path, ordered, fps=10, codec="FFV1")
    return root


def prepare_blobs(videos: Path, out: str, val_fraction: float, *, flow: bool = False) -> Store:
    config = PrepareConfig(
        source="folder",
        path=str(videos),
        out=str(videos.parent / out),
        group_regex=r"g\d+",
        test_groups=("g00", "g01", "g02", "g03"),
        val_fraction=val_fraction,
        fps=10,
        size=32,
        flow=flow,
        shard_videos=20,
        workers=1,
    )
    return prepare(config).store


@pytest.fixture(scope="session")
def blob_store(blob_videos: Path) -> Store:
    """48 videos for training, 16 for validation and 16 for the test."""
    return prepare_blobs(blob_videos, "store", val_fraction=0.2)


@pytest.fixture(scope="session")
def store_without_validation(blob_videos: Path) -> Store:
    return prepare_blobs(blob_videos, "without validation", val_fraction=0)


@pytest.fixture(scope="session")
def flow_store(blob_videos: Path) -> Store:
    """The videos of `blob_store` with their optical flow."""
    return prepare_blobs(blob_videos, "flow", val_fraction=0.2, flow=True)


@pytest.fixture(scope="session")
def blob_config(blob_store: Store) -> RunConfig:
    return RunConfig(
        data=str(blob_store.path),
        seed=2,
        clip=ClipConfig(num_frames=8, views=2),
        augment=AugmentConfig(flip=0),
        model=ModelConfig(dropout=0),
        backbone=BackboneConfig(filters=(8, 16)),
        temporal=TemporalConfig(units=16, dropout=0),
        train=TrainConfig(epochs=12, batch_size=8, learning_rate=5e-3),
    )


def train_and_export(config: RunConfig, folder: Path) -> Run:
    from pipeline.inference.export import export
    from pipeline.training.fit import train

    run = train(config, folder)
    export(run)
    return run


@pytest.fixture(scope="session")
def blob_run(blob_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained until it is right; not to be changed."""
    return train_and_export(blob_config, tmp_path_factory.mktemp("runs") / "blobs")


@pytest.fixture(scope="session")
def hasty_run(blob_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained for one epoch, so that it is unsure and makes mistakes; not to be changed."""
    config = dataclasses.replace(
        blob_config,
        seed=1,
        backbone=BackboneConfig(filters=(8, 16, 32)),
        train=TrainConfig(epochs=1, batch_size=4, learning_rate=1e-2),
    )
    return train_and_export(config, tmp_path_factory.mktemp("runs") / "hasty")
