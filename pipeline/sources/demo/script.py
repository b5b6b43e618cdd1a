"""What a figure does in a recording of a minute or two."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from pipeline.sources.demo.choreography import Choreography, Span
from pipeline.sources.demo.figure import Body, FloatArray, Skeleton
from pipeline.sources.demo.performance import Carton
from pipeline.sources.demo.scene import draw_heading

_ON_THE_SPOT: Final = ("clap", "jump", "kick", "squat", "wave")
_GESTURES: Final = ("clap", "wave")
_TIMES: Final = 2  # that each action is done; `walk` and gestures more often
_GESTURE_SHARE: Final = 0.4  # of the walks with empty hands
_REACH: Final = 0.55  # of the body's height, how far it walks to both sides of the middle


@dataclasses.dataclass(frozen=True)
class Enactment:
    """A script as it was acted, in the world: x to the right, y up, z to the viewer.

    Attributes:
        skeleton: Frame by frame.
        events: When which label holds, in order of their starts; several may at a time.
        seat: Where the pelvis rests when sitting, float64 (3,).
        seat_heading: Where the chair faces, radians.
        carton: The carton, resting or carried.
        carton_headings: Where it faces, float64 (T,), radians.
    """

    skeleton: Skeleton
    events: tuple[Span, ...]
    seat: FloatArray
    seat_heading: float
    carton: Carton
    carton_headings: FloatArray


class Script:
    """Actions in random order, with pauses and walks between them.

    One sits down and stands up at one chair, and picks up and puts down one carton at one place.

    Args:
        body: Who acts.
        fps: Frames per second.
        rng: Draws what is done, and how.
    """

    def __init__(self, body: Body, fps: float, rng: np.random.Generator) -> None:
        self._body, self._fps, self._rng = body, fps, rng
        self._reach = _REACH * body.height
        side = rng.choice([-1, 1])
        # The chair is behind, the carton before the figure: both beyond where it walks.
        self._chair = np.array([-side * self._reach, -0.1])
        self._table = np.array([side * self._reach, -0.1])
        self._chair_heading, self._table_heading = side * np.radians(rng.uniform(28, 66, 2))
        start = self._free_place(self._chair)
        self._person = Choreography(body, start, fps, rng.uniform(0.85, 1.15), rng)
        self._person.heading = draw_heading(rng)
        self._at_a_thing = False
        self._grip = int(rng.integers(2**32))
        self._sat, self._held = 0, list[tuple[int, int]]()
        self._made = Carton(np.zeros((0, 3)), np.zeros(3), 0.0)

    def enact(self) -> Enactment:
        """Acts it out, from the first to the last frame."""
        ways = {"sit_down": self._sit, "pick_up": self._carry}
        actions = [*_ON_THE_SPOT, *ways] * _TIMES
        self._person.pause(self._rng.uniform(0.5, 1.5))
        for action in self._rng.permutation(actions).tolist():
            if action in ways:
                ways[action]()
            else:
                self._act_somewhere(action)
        self._person.pause(self._rng.uniform(0.5, 1.5))
        self._add_gestures()
        person, skeleton = self._person, self._person.skeleton()
        carton, headings = self._carton(skeleton)
        return Enactment(
            skeleton=skeleton,
            events=tuple(sorted(s for s in (*person.spans, *person.gestures) if s.label)),
            seat=skeleton.joints["pelvis"][self._sat],
            seat_heading=self._chair_heading,
            carton=carton,
            carton_headings=headings,
        )

    def _act_somewhere(self, action: str) -> None:
        if self._at_a_thing or self._rng.uniform() < 0.3:
            self._walk(self._free_place(self._person.place), draw_heading(self._rng))
        self._at_a_thing = False
        self._rest(action)
        self._person.act(action)

    def _sit(self) -> None:
        self._walk(self._chair, self._chair_heading)
        self._rest("sit_down")
        self._person.act("sit_down")
        self._sat = self._sat or self._person.num_frames - 1
        self._rest("stand_up")
        self._person.act("stand_up")
        self._at_a_thing = True

    def _carry(self) -> None:
        self._walk(self._table, self._table_heading)
        self._rest("pick_up")
        self._handle("pick_up")
        self._rest("put_down")
        if self._rng.uniform() < 0.6:
            self._walk(self._free_place(self._person.place), draw_heading(self._rng))
            self._walk(self._table, self._table_heading)
            self._rest("put_down")
        self._handle("put_down")
        self._at_a_thing = True

    def _handle(self, action: str) -> None:
        """Picks up or puts down the carton, which is the same one each time."""
        start = self._person.num_frames
        performance = self._person.act(action, np.random.default_rng(self._grip))
        num_frames = self._person.num_frames - start
        grasp = num_frames // 2  # see `perform`: half of the time
        self._made = performance.carton or self._made
        if action == "pick_up":
            self._held.append((start + grasp, 0))
        else:
            self._held[-1] = (self._held[-1][0], start + num_frames - 1 - grasp)

    def _walk(self, place: FloatArray, heading: float) -> None:
        if np.linalg.norm(place - self._person.place) > 0.1 * self._body.height:
            self._rest("walk")
            self._person.walk_to(place, heading)

    def _rest(self, following: str) -> None:
        """Pauses, mostly; two of one label never meet."""
        last = self._person.spans[-1].label
        if last and (last == following or self._rng.uniform() < 0.75):
            self._person.pause(self._rng.uniform(0.4, 1.7))

    def _free_place(self, here: FloatArray) -> FloatArray:
        """Somewhere between the chair and the carton, some steps from `here`."""
        while True:
            x, z = self._rng.uniform(-0.75, 0.75) * self._reach, self._rng.uniform(-0.25, 0.15)
            if abs(x - here[0]) > 0.3 * self._body.height:
                return np.array([x, z])

    def _add_gestures(self) -> None:
        """Has the figure clap or wave while it walks, and shortly before or after."""
        spans = self._person.spans
        for before, walk, after in zip(spans, spans[1:], spans[2:], strict=False):
            carried = any(start <= walk.start < end for start, end in self._held)
            if walk.label == "walk" and not carried and self._rng.uniform() < _GESTURE_SHARE:
                low = walk.start if before.label else (before.start + walk.start) // 2
                high = walk.end if after.label else (walk.end + after.end) // 2
                self._person.gesture(str(self._rng.choice(_GESTURES)), low, high)

    def _carton(self, skeleton: Skeleton) -> tuple[Carton, FloatArray]:
        """Where the carton is, frame by frame, and where it faces."""
        hands = (skeleton.joints["left_hand"] + skeleton.joints["right_hand"]) / 2
        rest = hands[self._held[0][0]].copy()
        rest[1] = self._made.support + self._made.half[1]
        centre = np.tile(rest, (len(hands), 1))
        headings = np.full(len(hands), self._table_heading)
        for grasp, release in self._held:
            # The hands come to it a little differently each time.
            share = np.linspace(0, 1, release - grasp + 1)[:, None]
            off = (1 - share) * (rest - hands[grasp]) + share * (rest - hands[release])
            centre[grasp : release + 1] = hands[grasp : release + 1] + off
            headings[grasp : release + 1] = self._person.headings[grasp : release + 1]
        return dataclasses.replace(self._made, centre=centre), headings
