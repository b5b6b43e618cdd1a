"""Recordings of which a person and a model say much the same, and the folder of a run."""

import json
from pathlib import Path

import numpy as np

from pipeline.config import FramesConfig, RunConfig
from pipeline.config.file import save_config
from pipeline.evaluation.recordings import Recording
from pipeline.run import Run


def made_up(
    number: int,
    num_classes: int,
    *,
    seconds: float,
    fps: float = 5.0,
    exclusive: bool = False,
    unknown: bool = False,
    events: int = 0,
) -> Recording:
    """Events of 2 to 20 seconds; the model is late or early, misses some and makes some up.

    Where classes exclude each other, the last is the background.
    """
    rng = np.random.default_rng(number)
    num_frames = round(seconds * fps)
    tracks = np.zeros((2, num_frames, num_classes), bool)
    for _ in range(events or round(seconds / 12)):
        label = rng.integers(num_classes - exclusive)
        start = rng.uniform(0, seconds - 2)
        end = start + rng.uniform(2, 20)
        for track, (lag, drag) in zip(tracks, [(0, 0), rng.normal(0, 0.7, 2)], strict=True):
            first, last = round(max(0, start + lag) * fps), round(max(0, end + drag) * fps)
            if exclusive:
                track[first:last] = False
            track[first:last, label if rng.random() > 0.08 else rng.integers(num_classes)] = True
    if exclusive:
        tracks[..., -1] = ~tracks[..., :-1].any(axis=2)
    labels = tracks[0].astype(np.uint8)
    if unknown:
        labels[num_frames // 2 : num_frames * 5 // 8] = 255
    noise = rng.uniform(-0.3, 0.3, labels.shape)
    probabilities = np.clip(tracks[1] * 0.5 + 0.25 + noise, 0, 1)
    name = f"camera {number % 3}/2024-05-{number + 1:02d} pen {number}.mp4"
    return Recording(name, f"animal {number}", fps, labels, probabilities, tracks[1])


def made_up_run(folder: Path, class_names: list[str]) -> Run:
    """A run without a model."""
    run = Run(folder)
    folder.mkdir()
    run.report.mkdir()
    save_config(RunConfig(data="data <b>", frames=FramesConfig(size=32, fps=5)), run.config_file)
    run.class_names_file.write_text(json.dumps(class_names))
    environment = {
        "clipline": "1",
        "python": "3",
        "packages": {"numpy": "2"},
        "platform": "Linux",
        "cpu_cores": 2,
        "gpus": [],
        "command": ["train.py", "--seed", "1"],
    }
    run.environment_file.write_text(json.dumps(environment))
    return run
