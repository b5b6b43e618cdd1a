"""The recordings of the demo: each shows one figure for a minute or two, by a fixed camera."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Final

import numpy as np

from pipeline.manifest.rows import Split
from pipeline.sources.demo import props
from pipeline.sources.demo.camera import draw_fixed_camera
from pipeline.sources.demo.drawing import Image, Solid
from pipeline.sources.demo.figure import Body, rotation
from pipeline.sources.demo.scene import Scene, below_pelvis
from pipeline.sources.demo.script import Enactment, Script
from pipeline.sources.demo.takes import CODECS
from pipeline.sources.demo.wardrobe import CARTON, TAPE, WOOD, Look, dress

_SIZES: Final = ((160, 120), (160, 120), (192, 144), (240, 180))
_RATES: Final = (15, 15, 15, 15, 15, 15, 15, 30)
_MARGIN: Final = 0.35  # of the body's height, beside what must be seen


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        seed: Of the data set.
        figure: Number of the figure that acts, and looks as in the `Take`s of that number.
        split: Whose it is.
    """

    seed: int
    figure: int
    split: Split

    @property
    def name(self) -> str:
        """The name of its files, without a suffix."""
        return f"figure{self.figure:02d}"

    @property
    def fps(self) -> int:
        """Frames per second."""
        return int(self._rng(3).choice(_RATES))

    @property
    def container(self) -> tuple[str, str]:
        """Suffix of the file name, and FourCC."""
        return CODECS[self._rng(4).integers(len(CODECS))]

    @functools.cached_property
    def enactment(self) -> Enactment:
        """What is done, and when."""
        return Script(self._figure()[0], self.fps, self._rng(5)).enact()

    def events(self) -> str:
        """The table of events, whose times are those of frames: where one starts, and ends."""
        figure = self.name
        lines = ["video,start_seconds,end_seconds,label,subject,group,split"]
        lines += [
            f"{figure}{self.container[0]},{start / self.fps:.6f},{end / self.fps:.6f},{label},"
            f"{figure},{figure},{self.split}"
            for start, end, label in map(dataclasses.astuple, self.enactment.events)
        ]
        return "".join(f"{line}\n" for line in lines)

    def frames(self) -> Iterator[Image]:
        """Renders the recording: uint8 (H, W, 3), RGB, one frame after the other."""
        (body, look), enacted, rng = self._figure(), self.enactment, self._rng(6)
        carton = enacted.carton.centre
        pelvis = enacted.skeleton.joints["pelvis"]
        num_frames, margin = len(pelvis), _MARGIN * body.height
        seen = np.concatenate([pelvis[:, 0], enacted.seat[:1], carton[:, 0]])
        span = float(seen.min() - margin), float(seen.max() + margin)
        size = _SIZES[rng.integers(len(_SIZES))]
        camera = draw_fixed_camera(span, num_frames, body.height, size, rng)
        acting = dress(body, look, enacted.skeleton) + _carton(enacted)
        scene = Scene(acting, lambda rng: _chair(enacted, body, rng), camera, look, rng)
        for frame in range(num_frames):
            yield scene.render(frame)

    def _figure(self) -> tuple[Body, Look]:
        person = np.random.default_rng((0, self.seed, self.figure))
        return Body.draw(person), Look.draw(person)

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((purpose, self.seed, self.figure))


def _carton(enacted: Enactment) -> list[Solid]:
    """The carton, and what it is put down on, in the world."""
    carton = enacted.carton
    turn = rotation(1, enacted.carton_headings)
    solids = [
        solid.seen(turn, np.ones(1), carton.centre)
        for solid in props.box(np.zeros((1, 3)), carton.half, CARTON, TAPE)
    ]
    if carton.support > 0:
        half = carton.half * [1.25, 0, 1.25] + np.array([0, carton.support / 2, 0])
        foot = carton.centre[0] * [1, 0, 1] + np.array([0, half[1], 0])
        foot_solids = props.box(np.zeros((1, 3)), half, WOOD, WOOD)
        solids += [solid.turned(turn[0]).moved(foot) for solid in foot_solids]
    return solids


def _chair(enacted: Enactment, body: Body, rng: np.random.Generator) -> list[Solid]:
    """The chair that is sat on, in the world."""
    height, turn = enacted.seat * [0, 1, 0], rotation(1, enacted.seat_heading)
    chair = props.chair(height + below_pelvis(body), body.height, rng)
    return [solid.turned(turn).moved(enacted.seat * [1, 0, 1]) for solid in chair]
