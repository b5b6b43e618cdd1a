import dataclasses

import pytest

from pipeline.config import ClipConfig, FramesConfig, ModelConfig, RunConfig, TrainConfig
from pipeline.errors import ConfigError
from pipeline.training import memory
from pipeline.training.cluster import Cluster
from pipeline.training.memory import check_memory

FRAMES = FramesConfig(fps=15, size=64, jpeg_quality=95)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_what_is_usual_fits(on_gpu):
    check_memory(RunConfig(frames=FRAMES), on_gpu=on_gpu)


@pytest.mark.parametrize("on_gpu", [True, False])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": TrainConfig(batch_size=1_000_000)}, "Choose train.batch_size below [1-9]"),
        (
            {
                "frames": FramesConfig(fps=15, size=4096, jpeg_quality=95),
                "clip": ClipConfig(num_frames=512),
                "train": TrainConfig(batch_size=1000),
                "model": ModelConfig(streams=("rgb", "flow")),
            },
            "of memory, this machine has",
        ),
    ],
)
def test_what_fills_the_memory_many_times_is_refused(changes, words, on_gpu):
    with pytest.raises(ConfigError, match=words):
        check_memory(RunConfig(**{"frames": FRAMES, **changes}), on_gpu=on_gpu)


def test_a_container_has_what_it_may_take(monkeypatch, tmp_path):
    """16 clips of 16 frames of 64 x 64 pixels, with 15 bytes each, and 128 behind the CNN."""
    config = RunConfig(frames=FRAMES, train=TrainConfig(precision="float32"))
    step = 16 * 16 * 64 * 64
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_OF_GROUP", limit)
    limit.write_text(f"{step * 143}\n")
    check_memory(config, on_gpu=False)
    limit.write_text(f"{step * 143 - 1}\n")
    check_memory(config, on_gpu=True)
    with pytest.raises(ConfigError, match="at least 0 GB .* Choose train.batch_size below 15"):
        check_memory(config, on_gpu=False)
    limit.write_text("max\n")
    check_memory(config, on_gpu=False)


def test_a_machine_has_its_part_of_the_batch(monkeypatch, tmp_path):
    """Of four workers, two on it; 16 clips of 16 frames of 64 x 64 pixels, with 143 bytes each."""
    config = RunConfig(frames=FRAMES, train=TrainConfig(precision="float32"))
    monkeypatch.setattr(memory, "_OF_GROUP", tmp_path / "memory.max")
    addresses = ("one:1", "two:1", "two:2", "three:1")
    share = Cluster(index=2, addresses=addresses).share_of_machine
    assert (share, Cluster().share_of_machine) == (0.5, 1)
    memory._OF_GROUP.write_text(str(16 * 16 * 64 * 64 * 143 // 2))
    check_memory(config, on_gpu=False, share=share)
    larger = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_size=20))
    wanted = "the part .* of a step of train.batch_size 20 .* Choose train.batch_size below 16"
    with pytest.raises(ConfigError, match=wanted):
        check_memory(larger, on_gpu=False, share=share)
