"""The movements of one person over minutes: actions, pauses and walks that run into each other."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from pipeline.sources.demo.actions import BACKWARDS, STAND, draw_seconds, gait, perform
from pipeline.sources.demo.curves import interpolate, plateau
from pipeline.sources.demo.figure import (
    COLUMN,
    DOFS,
    SIDES,
    Body,
    FloatArray,
    Skeleton,
    forward_kinematics,
    plant,
    pose,
)
from pipeline.sources.demo.performance import Performance

_ARMS: Final = [
    COLUMN[f"{side}_{dof}"] for side in SIDES for dof in ("shoulder", "abduct", "rotate", "elbow")
]
_HIPS, _FEET = ([COLUMN[f"{side}_{dof}"] for side in SIDES] for dof in ("hip", "foot"))
_STEP: Final = 0.33  # of the body's height, an ordinary step
_BLEND_SECONDS: Final = 0.4
_TURN_SECONDS: Final = 0.8
_MOST_MORE_STEPS: Final = 4
_NEAR: Final = 0.01  # metres


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
        self._angles, self._headings, self._lift = self._rest[None][:0], np.zeros(0), np.zeros(0)
        self._slides = place[None][:0]

    @property
    def num_frames(self) -> int:
        """How many frames they take so far."""
        return len(self._angles)

    @property
    def headings(self) -> FloatArray:
        """Where the person faces, float64 (T,), radians."""
        return self._headings

    def skeleton(self) -> Skeleton:
        """All movements so far in the world: x to the right, y up, z to the viewer."""
        free = forward_kinematics(self._body, self._angles).facing(self._headings)
        skeleton = plant(free, self._lift)
        shift = np.zeros((self.num_frames, 3))
        shift[:, [0, 2]] = self._start + self._slides
        return skeleton.moved(shift)

    def pause(self, seconds: float) -> None:
        """Stays as it is, breathes, looks around and, when standing, shifts its weight."""
        time = np.arange(max(round(seconds * self._fps), 1)) / self._fps
        angles = np.repeat(self._rest[None], len(time), axis=0)
        standing = 1 if self._rest[COLUMN["left_hip"]] < 1 else 0
        # The legs lean to the same side: the pelvis moves, and the feet do not.
        movements = (("left_spread", 3, 0.35), ("curl", 2, 0.3), ("nod", 5, 0.4), ("turn", 16, 0.4))
        for name, degrees, rate in movements:
            phase = 2 * np.pi * (rate * time + self._rng.uniform())
            swing = np.radians(degrees) * self._rng.uniform(0.4, 1) * np.sin(phase)
            swing = swing * plateau(np.linspace(0, 1, len(time)), 0.25)
            if name == "left_spread":
                swing = swing * standing
                angles[:, COLUMN["right_spread"]] -= swing
            angles[:, COLUMN[name]] += swing
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
        distance = float(np.linalg.norm(place - self.place))
        steps = max(round(distance / (_STEP * self._body.height)), 3)
        rate, foot = self._tempo * self._rng.uniform(1.7, 1.95), self._rng.choice([0.3, 0.8])
        tries: list[tuple[float, FloatArray, FloatArray]] = []
        for more in range(_MOST_MORE_STEPS):  # where there is much to turn, with more of them
            num_frames = round((steps + more + 0.5) / rate * self._fps)
            # From the moment when the feet pass each other to another such moment.
            stride = np.linspace(foot, foot + (steps + more) / 2, num_frames)
            angles, headings, missed = self._aim(place - self.place, stride, heading)
            if missed < _NEAR:
                break
            tries.append((missed, angles, headings))
        else:
            _, angles, headings = min(tries, key=lambda each: each[0])
        self._append("walk", angles, headings=headings)
        # What is missed, a few centimetres at the most, is made up for little by little.
        start, missed_by = self.spans[-1].start, place - self.place
        self._slides[start:] += np.linspace(0, 1, len(angles))[:, None] * missed_by
        self.place = place

    def _aim(
        self, way: FloatArray, stride: FloatArray, heading: float
    ) -> tuple[FloatArray, FloatArray, float]:
        """Walks so that, ends blending and turns bending the way, it leads where it is to.

        Returns:
            Angles, headings, and by how many metres it misses.
        """
        aim = way
        for _ in range(6):
            angles, headings = self._stride_out(aim, stride, heading)
            miss = way - self._travel(angles, headings)
            missed = float(np.linalg.norm(miss))
            if missed < _NEAR:
                break
            # Newton's method, with the slopes from two tries beside it.
            tries = [self._stride_out(aim + aside, stride, heading) for aside in 0.02 * np.eye(2)]
            slopes = [(self._travel(*each) - (way - miss)) / 0.02 for each in tries]
            change = np.linalg.lstsq(np.stack(slopes, axis=1), miss, rcond=0.05)[0]
            aim = aim + change * (0.3 / max(float(np.linalg.norm(change)), 0.3))
        return angles, headings, missed

    def _stride_out(
        self, aim: FloatArray, stride: FloatArray, heading: float
    ) -> tuple[FloatArray, FloatArray]:
        """Angles and headings of walking about as far and in the direction of `aim`."""
        steps = 2 * (stride[-1] - stride[0])
        ordinary = steps * _STEP * self._body.height
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
        headings = interpolate(np.array([0, turned, 1 - turned, 1]), keys, u)[:, 0]
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
        start, num_frames = len(self._angles), len(angles)
        headings = np.full(num_frames, self.heading) if headings is None else headings
        lift = np.zeros(num_frames) if lift is None else lift
        self.place = self.place + self._travel(angles, headings)
        self.heading = float(headings[-1])
        self._angles = np.concatenate([self._angles, angles])
        self._headings = np.concatenate([self._headings, headings])
        self._lift = np.concatenate([self._lift, lift])
        slid = self._slides[-1] if start else np.zeros(2)
        self._slides = np.concatenate([self._slides, np.tile(slid, (num_frames, 1))])
        self.spans.append(Span(start, start + num_frames, label))

    def _joined(self, angles: FloatArray) -> FloatArray:
        """Angles that start from the last pose, from which they depart by and by."""
        if not len(self._angles):
            return angles
        share = np.arange(1, len(angles) + 1) / (_BLEND_SECONDS * self._fps)
        s = np.clip(1 - share, 0, 1)[:, None]
        joined: FloatArray = angles + s * s * (3 - 2 * s) * (self._angles[-1] - angles[0])
        return joined

    def _travel(self, angles: FloatArray, headings: FloatArray) -> FloatArray:
        """How far the pelvis gets from where it is, x and z, float64 (2,)."""
        angles = np.concatenate([self._angles[-1:], angles])
        headings = np.concatenate([self._headings[-1:], headings])
        free = forward_kinematics(self._body, angles).facing(headings)
        path = plant(free, np.zeros(len(angles))).joints["pelvis"]
        return path[-1, [0, 2]] - path[0, [0, 2]]
