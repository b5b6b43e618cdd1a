"""Recordings of which each frame is one grey, whose right half is brighter."""

from pathlib import Path

import numpy as np

from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.preparation import prepare
from pipeline.video import write_video

FPS = 10
LENGTHS = {"a": 300, "b": 130, "c": 20}


def render(path, length):
    """Greys that begin anew after 50 frames."""
    frames = np.zeros((length, 16, 16, 3), np.uint8)
    frames += (5 * (np.arange(length) % 50)).astype(np.uint8)[:, None, None, None]
    frames[:, :, 8:] += 10
    write_video(path, frames, fps=FPS, codec="FFV1")


def events():
    """A class that holds at each tenth frame, and one at a single frame."""
    yield "video,start_seconds,end_seconds,label,split"
    for name, length in LENGTHS.items():
        for tenth in range(0, length, 10):
            split = "test" if name == "b" else "train"
            yield f"{name}.avi,{tenth / FPS},{tenth / FPS + 0.1},tick,{split}"
    yield "a.avi,29.5,29.6,tock,train"


def config_of(root, out, **changes):
    path = str(root / "events.csv")
    settings = {"size": 16, "fps": FPS, "workers": 1, **changes}
    return PrepareConfig(source="events", path=path, out=str(out), **settings)


def prepare_greys(folder: Path):
    root = folder / "videos"
    root.mkdir(parents=True)
    for name, length in LENGTHS.items():
        render(root / f"{name}.avi", length)
    (root / "events.csv").write_text("\n".join(events()))
    prepare(config_of(root, folder / "store"))
