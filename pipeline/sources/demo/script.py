"""What a figure does in a recording of a minute or two: actions, pauses and walks."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from pipeline.sources.demo.actions import (
    BACKWARDS,
    STAND,
    Carton,
    Performance,
    draw_seconds,
    gait,
    perform,
)
from pipeline.sources.demo.body import (
    COLUMN,
    DOFS,
    SIDES,
    Body,
    FloatArray,
    Skeleton,
    forward_kinematics,
    plant,
    plateau,
    pose,
    through,
)

_ON_THE_SPOT: Final = ("clap", "jump", "kick", "squat", "wave")
_GESTURES: Final = ("clap", "wave")
_TIMES: Final = 2  # that each action is done; `walk` and gestures more often
_GESTURE_SHARE: Final = 0.4  # of the walks with empty hands
_REACH: Final = 0.55  # of the body's height, how far it walks to both sides of the middle

_ARMS: Final = [
    COLUMN[f"{side}_{dof}"] for side in SIDES for dof in ("shoulder", "abduct", "rotate", "elbow")
]
_HIPS, _FEET = ([COLUMN[f"{side}_{dof}"] for side in SIDES] for dof in ("hip", "foot"))
_STEP: Final = 0.33  # of the body's height, an ordinary step
_NEAR: Final = 0.01  # metres by which a walk may miss
_BLEND_SECONDS: Final = 0.4
_TURN_SECONDS: Final = 0.8


def draw_heading(rng: np.random.Generator) -> float:
    """Draws where a figure faces: to the left or to the right, a little towards the viewer."""
    return float(rng.choice([-1, 1]) * np.radians(rng.uniform(28, 66)))


@dataclasses.dataclass(frozen=True, order=True)
class Span:
    """Frames `start` to `end`, without `end`, in which `label` holds; empty: in a pause."""

    start: int
    end: int
    label: str


class Choreography:
    """A person's movements, of which each begins in the pose and place where the last one ended.

    Attributes:
        spans: Pauses and actions in their order, without what was added by `gesture`.
        gestures: What was added by `gesture`.
        place: Where the pelvis is now, x and z, float64 (2,), metres.
        heading: Radians, from the viewer (0) to the figure's left.
        headings: The same of each frame so far, float64 (T,).

    Args:
        body: Whose body.
        place: Where the person is at first.
        fps: Frames per second.
        tempo: How fast this person is, about 1.
        rng: Draws how movements are done.
    """

    def __init__(
        self, body: Body, place: FloatArray, fps: float, tempo: float, rng: np.random.Generator
    ) -> None:
        self.spans: list[Span] = []
        self.gestures: list[Span] = []
        self.place, self.heading = place, 0.0
        self._start = place
        self._body, self._fps, self._tempo, self._rng = body, fps, tempo, rng
        self._rest = pose(STAND)
        self._angles, self.headings, self._lift = self._rest[None][:0], np.zeros(0), np.zeros(0)
        self._slides = place[None][:0]

    @property
    def num_frames(self) -> int:
        """How many frames they take so far."""
        return len(self._angles)

    def skeleton(self) -> Skeleton:
        """All movements so far in the world: x to the right, y up, z to the viewer."""
        free = forward_kinematics(self._body, self._angles).facing(self.headings)
        shift = np.zeros((self.num_frames, 3))
        shift[:, [0, 2]] = self._start + self._slides
        return plant(free, self._lift).moved(shift)

    def pause(self, seconds: float) -> None:
        """Stays as it is, breathes, looks around and, when standing, shifts its weight."""
        time = np.arange(max(round(seconds * self._fps), 1)) / self._fps
        angles = np.repeat(self._rest[None], len(time), axis=0)
        fade = plateau(np.linspace(0, 1, len(time)), 0.25)
        movements = [("curl", 2, 0.3), ("nod", 5, 0.4), ("turn", 16, 0.4)]
        if self._rest[COLUMN["left_hip"]] < 1:
            movements.append(("left_spread", 3, 0.35))
        for name, degrees, rate in movements:
            phase = 2 * np.pi * (rate * time + self._rng.uniform())
            swing = fade * np.radians(degrees) * self._rng.uniform(0.4, 1) * np.sin(phase)
            angles[:, COLUMN[name]] += swing
            if name == "left_spread":  # The legs lean to the same side: the feet stay.
                angles[:, COLUMN["right_spread"]] -= swing
        self._append("", self._joined(angles))

    def act(self, action: str, rng: np.random.Generator | None = None) -> Performance:
        """Acts out one action, anything but `walk`, on the spot.

        Args:
            action: One of `ACTIONS`.
            rng: Draws how it is done, in place of the person's own; the same for the same way.

        Returns:
            The performance, which of one of `BACKWARDS` is in forward order.
        """
        performance = perform(
            action, self._body, self._draw_frames(action), self._fps, rng or self._rng, idle=0
        )
        order = -1 if action in BACKWARDS else 1
        angles, lift = performance.angles[::order].copy(), performance.lift[::order]
        self._rest = angles[-1] if action in BACKWARDS.values() else pose(STAND)
        self._append(action, self._joined(angles), lift=lift)
        return performance

    def walk_to(self, place: FloatArray, heading: float) -> None:
        """Walks to a place and turns on the way.

        Args:
            place: Where the pelvis is to be, x and z, float64 (2,).
            heading: Where the person is to face there.
        """
        way = place - self.place
        steps = max(round(float(np.linalg.norm(way)) / (_STEP * self._body.height)), 3)
        rate, foot = self._tempo * self._rng.uniform(1.7, 1.95), self._rng.choice([0.3, 0.8])
        tries: list[tuple[float, FloatArray, FloatArray]] = []
        for more in range(4):  # Where there is much to turn, it takes more steps.
            num_frames = round((steps + more + 0.5) / rate * self._fps)
            # From the moment when the feet pass each other to another such moment.
            stride = np.linspace(foot, foot + (steps + more) / 2, num_frames)
            tries.append(self._aim(way, stride, heading))
            if tries[-1][0] < _NEAR:
                break
        _, angles, headings = min(tries, key=lambda each: each[0])
        self._append("walk", angles, headings=headings)
        # What is missed, a few centimetres at the most, is made up for little by little.
        share = np.linspace(0, 1, len(angles))[:, None]
        self._slides[self.spans[-1].start :] += share * (place - self.place)
        self.place = place

    def _aim(
        self, way: FloatArray, stride: FloatArray, heading: float
    ) -> tuple[float, FloatArray, FloatArray]:
        """Walks, by and by, to where ends that blend and turns that bend the way lead to `way`.

        Returns:
            By how many metres it misses, angles and headings.
        """
        aim = way
        for _ in range(12):
            angles, headings = self._stride_out(aim, stride, heading)
            miss = way - self._travel(angles, headings)
            missed = float(np.linalg.norm(miss))
            if missed < _NEAR:
                break
            aim = aim + 0.8 * miss
        return missed, angles, headings

    def _stride_out(
        self, aim: FloatArray, stride: FloatArray, heading: float
    ) -> tuple[FloatArray, FloatArray]:
        """Angles and headings of walking about as far and in the direction of `aim`."""
        ordinary = 2 * (stride[-1] - stride[0]) * _STEP * self._body.height
        size = min(float(np.linalg.norm(aim)) / ordinary, 1.25)
        walking = gait(stride, 1)
        if self._rest[COLUMN["left_elbow"]] > 1:  # something is carried
            walking[:, _ARMS] = self._rest[_ARMS]
        u, seconds = np.linspace(0, 1, len(stride)), len(stride) / self._fps
        start = plateau(u, _BLEND_SECONDS / seconds)[:, None]
        weight = np.repeat(start, len(DOFS), axis=1)
        # In a short step a foot is lifted no less, and its toes hang less, or they would touch.
        weight[:, _HIPS] *= size
        weight[:, _FEET] *= start * size
        turned = min(_TURN_SECONDS / seconds, 0.45)
        toward = float(np.arctan2(aim[0], aim[1]))
        keys = np.array([self.heading, toward, toward, heading])[:, None]
        headings = through([0, turned, 1 - turned, 1], keys, u)[:, 0]
        return self._joined(self._rest + weight * (walking - self._rest)), headings

    def gesture(self, action: str, low: int, high: int) -> None:
        """Has the arms do an action, whatever else the person does, between two frames."""
        num_frames = min(self._draw_frames(action), high - low)
        start = low + int(self._rng.integers(high - low - num_frames + 1))
        performance = perform(action, self._body, num_frames, self._fps, self._rng, idle=0)
        weight = plateau(np.linspace(0, 1, num_frames), 0.15)[:, None]
        part = self._angles[start : start + num_frames]
        part[:, _ARMS] += weight * (performance.angles[:, _ARMS] - part[:, _ARMS])
        self.gestures.append(Span(start, start + num_frames, action))

    def _draw_frames(self, action: str) -> int:
        return round(draw_seconds(action, self._rng) / self._tempo * self._fps)

    def _append(
        self,
        label: str,
        angles: FloatArray,
        *,
        headings: FloatArray | None = None,
        lift: FloatArray | None = None,
    ) -> None:
        start, num_frames = self.num_frames, len(angles)
        headings = np.full(num_frames, self.heading) if headings is None else headings
        lift = np.zeros(num_frames) if lift is None else lift
        self.place = self.place + self._travel(angles, headings)
        self.heading = float(headings[-1])
        self._angles = np.concatenate([self._angles, angles])
        self.headings = np.concatenate([self.headings, headings])
        self._lift = np.concatenate([self._lift, lift])
        slid = self._slides[-1] if start else np.zeros(2)
        self._slides = np.concatenate([self._slides, np.tile(slid, (num_frames, 1))])
        self.spans.append(Span(start, start + num_frames, label))

    def _joined(self, angles: FloatArray) -> FloatArray:
        """Angles that start from the last pose, from which they depart by and by."""
        if not self.num_frames:
            return angles
        share = np.arange(1, len(angles) + 1) / (_BLEND_SECONDS * self._fps)
        s = np.clip(1 - share, 0, 1)[:, None]
        joined: FloatArray = angles + s * s * (3 - 2 * s) * (self._angles[-1] - angles[0])
        return joined

    def _travel(self, angles: FloatArray, headings: FloatArray) -> FloatArray:
        """How far the pelvis gets from where it is, x and z, float64 (2,)."""
        angles = np.concatenate([self._angles[-1:], angles])
        headings = np.concatenate([self.headings[-1:], headings])
        free = forward_kinematics(self._body, angles).facing(headings)
        path = plant(free, np.zeros(len(angles))).joints["pelvis"]
        return path[-1, [0, 2]] - path[0, [0, 2]]


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
        self._body, self._rng = body, rng
        self._reach = _REACH * body.height
        side = rng.choice([-1, 1])
        # The chair is behind, the carton before the figure: both beyond where it walks.
        self._chair, self._table = (np.array([x * self._reach, -0.1]) for x in (-side, side))
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
        self._person.pause(self._rng.uniform(0.5, 1.5))
        for action in self._rng.permutation([*_ON_THE_SPOT, *ways] * _TIMES).tolist():
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
        self._handle("pick_up")
        self._rest("put_down")
        if self._rng.uniform() < 0.6:
            self._walk(self._free_place(self._person.place), draw_heading(self._rng))
            self._walk(self._table, self._table_heading)
        self._handle("put_down")
        self._at_a_thing = True

    def _handle(self, action: str) -> None:
        """Picks up or puts down the carton, which is the same one each time."""
        self._rest(action)
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
