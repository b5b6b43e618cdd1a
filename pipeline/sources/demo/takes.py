"""The videos of the demo data set: each is one figure doing one action once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np

from pipeline.sources.demo.actions import ACTIONS, BACKWARDS, draw_seconds, perform
from pipeline.sources.demo.drawing import Image
from pipeline.sources.demo.figure import Body
from pipeline.sources.demo.scene import stage
from pipeline.sources.demo.wardrobe import Look

MIN_FRAMES: Final = 12
MAX_FRAMES: Final = 60
_SIZES: Final = ((160, 120), (176, 144), (192, 144), (320, 240), (240, 320), (256, 256))
_RATES: Final = (12, 15, 24, 25, 30)
# Containers whose headers hold neither a date nor a random number: same frames, same bytes.
CODECS: Final = ((".mp4", "mp4v"), (".mov", "mp4v"), (".avi", "MJPG"), (".avi", "XVID"))


@dataclasses.dataclass(frozen=True)
class Format:
    """The format of a video file.

    Attributes:
        size: Width and height in pixels.
        fps: Frames per second.
        num_frames: Number of frames.
        suffix: Of the file name.
        codec: FourCC.
    """

    size: tuple[int, int]
    fps: int
    num_frames: int
    suffix: str
    codec: str


@dataclasses.dataclass(frozen=True)
class Take:
    """One video: who does what, for which time.

    Attributes:
        seed: Of the data set.
        action: One of `ACTIONS`.
        figure: Number of the figure; a figure looks the same in all its videos.
    """

    seed: int
    action: str
    figure: int

    def format(self) -> Format:
        """Draws how the video is stored."""
        rng = self._rng(1)
        size, fps = _SIZES[rng.integers(len(_SIZES))], _RATES[rng.integers(len(_RATES))]
        num_frames = round(draw_seconds(self.action, rng) * fps)
        suffix, codec = CODECS[rng.integers(len(CODECS))]
        return Format(size, fps, min(max(num_frames, MIN_FRAMES), MAX_FRAMES), suffix, codec)

    def frames(self) -> Iterator[Image]:
        """Renders the video: uint8 (H, W, 3), RGB, one frame after the other."""
        person, rng = np.random.default_rng((0, self.seed, self.figure)), self._rng(2)
        body, look, form = Body.draw(person), Look.draw(person), self.format()
        performance = perform(self.action, body, form.num_frames, form.fps, rng)
        scene = stage(performance, body, look, form.size, rng)
        order = range(form.num_frames)
        for frame in reversed(order) if self.action in BACKWARDS else order:
            yield scene.render(frame)

    def _rng(self, purpose: int) -> np.random.Generator:
        """A generator for this video; the two videos of an order pair draw the same numbers."""
        action = ACTIONS.index(BACKWARDS.get(self.action, self.action))
        return np.random.default_rng((purpose, self.seed, self.figure, action, 0))
