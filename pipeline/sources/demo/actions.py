"""The actions: joint-angle trajectories, and the things that they need (a chair, a carton)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pipeline.sources.demo.body import (
    COLUMN,
    Body,
    FloatArray,
    Skeleton,
    forward_kinematics,
    mirrored,
    plant,
    plateau,
    pose,
    through,
)

# Angles in degrees by their names; a pose is told by how it differs from standing at ease.
Pose = dict[str, float]

STAND: Final[Pose] = {"spread": 4, "knee": 4, "hip": 2, "abduct": 10, "elbow": 14}


@dataclasses.dataclass(frozen=True)
class Carton:
    """A box that is picked up and carried.

    Attributes:
        centre: float64 (T, 3).
        half: Half its edges, float64 (3,).
        support: Height in metres of what it stands on before; 0 is the floor.
    """

    centre: FloatArray
    half: FloatArray
    support: float


@dataclasses.dataclass(frozen=True)
class Performance:
    """One action, acted: the planted skeleton, and the chair or the carton it needs.

    Attributes:
        skeleton: In the figure's own axes, starting near the origin.
        angles: Its joint angles, float64 (T, len(DOFS)), radians.
        lift: float64 (T,), metres above the floor.
        seat: Where the pelvis rests when sitting, float64 (3,), or None.
        carton: The carton that is moved, or None.
    """

    skeleton: Skeleton
    angles: FloatArray
    lift: FloatArray
    seat: FloatArray | None = None
    carton: Carton | None = None


@dataclasses.dataclass(frozen=True)
class Stage:
    """The givens of an action: who acts, when, and how large.

    Attributes:
        body: The acting body.
        u: float64 (T,), from 0 where the action begins to 1 where it ends.
        seconds: float64 (T,), time since the action began.
        size: Scales the movements, about 1.
        rng: Draws what else varies.
    """

    body: Body
    u: FloatArray
    seconds: FloatArray
    size: float
    rng: np.random.Generator

    def keyed(self, *keys: tuple[float, Pose]) -> FloatArray:
        """Angles, float64 (T, len(DOFS)), that go smoothly through poses at given times."""
        poses = np.stack([pose({**STAND, **key}) for _, key in keys])
        return through([time for time, _ in keys], poses, self.u)

    def swing(self, rate: float) -> FloatArray:
        """Goes to and fro so many times a second, from -1 to 1, float64 (T,)."""
        return np.sin(2 * np.pi * rate * self.seconds)


def _wave(stage: Stage) -> FloatArray:
    raised, forward = stage.rng.uniform(102, 122), stage.rng.uniform(0, 15)
    up: Pose = {"left_abduct": raised, "left_rotate": 90, "left_elbow": 60, "sway": -3}
    up |= {"left_shoulder": forward}
    angles = stage.keyed((0, {}), (0.2, up), (0.8, up), (1, {}))
    swing = np.radians(38) * stage.size * plateau(stage.u, 0.2)
    angles[:, COLUMN["left_elbow"]] += swing * stage.swing(stage.rng.uniform(1.6, 2.4))
    return angles


def _clap(stage: Stage) -> FloatArray:
    wide: Pose = {"shoulder": stage.rng.uniform(40, 62), "elbow": 72, "abduct": 12}
    wide |= {"rotate": 34 * stage.size}
    # The hands meet where one of them reaches the middle of the body.
    turns = np.linspace(-60, wide["rotate"], 33)
    reach = np.stack([pose({**STAND, **wide, "rotate": turn}) for turn in turns])
    gap = forward_kinematics(stage.body, reach).joints["left_hand"][:, 0]
    closed = np.radians(np.interp(0.03, gap, turns))
    angles = stage.keyed((0, {}), (0.16, wide), (0.84, wide), (1, {}))
    share = plateau(stage.u, 0.16) * (0.5 - 0.5 * stage.swing(stage.rng.uniform(1.7, 2.8)))
    for side in ("left_rotate", "right_rotate"):
        angles[:, COLUMN[side]] += share * (closed - angles[:, COLUMN[side]])
    return angles


def _jump(stage: Stage) -> FloatArray:
    size = stage.size
    crouch: Pose = {"hip": 46 * size, "knee": 86 * size, "lean": 38, "shoulder": -48, "nod": -18}
    leave: Pose = {"hip": 0, "knee": 4, "foot": -48, "lean": 3, "shoulder": 158, "elbow": 12}
    top: Pose = {"hip": 14, "knee": 34, "foot": -38, "lean": 6, "shoulder": 140, "elbow": 20}
    touch: Pose = {"hip": 12, "knee": 22, "foot": -12, "lean": 10, "shoulder": 70}
    land: Pose = {"hip": 42 * size, "knee": 76 * size, "lean": 30, "shoulder": 25, "nod": -10}
    flight = ((0.42, leave), (0.56, top), (0.7, touch))
    return stage.keyed((0, {}), (0.28, crouch), *flight, (0.82, land), (1, {}))


def _jump_height(stage: Stage) -> FloatArray:
    """Metres above the floor, float64 (T,): a parabola while it flies."""
    flight = np.clip((stage.u - 0.42) / 0.28, 0, 1)
    rise = stage.body.height * stage.rng.uniform(0.13, 0.2) * stage.size
    return np.asarray(rise * 4 * flight * (1 - flight))


def _squat(stage: Stage) -> FloatArray:
    deep: Pose = {"hip": 88, "knee": 116, "lean": 40, "spread": 11, "nod": -22}
    deep |= {"shoulder": stage.rng.uniform(60, 95), "elbow": stage.rng.uniform(5, 40)}
    low: Pose = {name: value * min(stage.size, 1.05) for name, value in deep.items()}
    return stage.keyed((0, {}), (0.46, low), (0.54, low), (1, {}))


def _kick(stage: Stage) -> FloatArray:
    high = stage.rng.uniform(58, 88) * stage.size
    back: Pose = {"right_hip": -30, "right_knee": 78, "right_foot": -75, "lean": 10, "twist": 12}
    back |= {"right_shoulder": 35, "left_shoulder": -32, "left_hip": 8, "left_knee": 14}
    strike: Pose = {"right_hip": high, "right_knee": 6, "right_foot": high - 35, "lean": -14}
    strike |= {"right_shoulder": -42, "left_shoulder": 62, "twist": -14, "left_knee": 8}
    strike |= {"left_abduct": 28, "right_abduct": 28}
    fold: Pose = {"right_hip": high * 0.6, "right_knee": 55, "right_foot": high * 0.6 - 65}
    return stage.keyed((0, {}), (0.32, back), (0.52, strike), (0.6, strike), (0.76, fold), (1, {}))


def _walk(stage: Stage) -> FloatArray:
    stride = stage.seconds * stage.rng.uniform(0.8, 1.15) + stage.rng.uniform()
    return gait(stride, stage.size)


def gait(stride: FloatArray, size: float) -> FloatArray:
    """Angles of walking, float64 (T, len(DOFS)).

    Args:
        stride: float64 (T,), how many strides were made, of two steps each.
        size: Scales the steps, about 1.
    """
    angles = np.repeat(pose({**STAND, "lean": 4, "elbow": 24})[None], len(stride), axis=0)
    for side, other, phase in (("left", "right", stride), ("right", "left", stride + 0.5)):
        # Share of the gait cycle, from one strike of the heel to the next.
        knee = _cycle(phase, (0, 5), (0.14, 17), (0.4, 6), (0.6, 40), (0.74, 62), (0.95, 4))
        foot = _cycle(phase, (0, 18), (0.1, 0), (0.42, 0), (0.62, -52), (0.86, 8), (0.95, 20))
        hip = _cycle(phase, (0, 26), (0.52, -19), (0.86, 29))
        angles[:, COLUMN[f"{side}_knee"]] = knee * size
        angles[:, COLUMN[f"{side}_foot"]] = foot
        angles[:, COLUMN[f"{side}_hip"]] = hip * size
        angles[:, COLUMN[f"{other}_shoulder"]] = hip * size * 1.1
        angles[:, COLUMN[f"{other}_elbow"]] += np.maximum(hip, 0) * 0.7
    angles[:, COLUMN["twist"]] = np.radians(7) * np.cos(2 * np.pi * stride)
    return angles


def _cycle(phase: FloatArray, *keys: tuple[float, float]) -> FloatArray:
    """A periodic curve in radians through (phase, degrees)."""
    times = [turn + time for turn in (-1, 0, 1) for time, _ in keys]
    degrees = np.array([[value] for _, value in keys] * 3)
    return through(times, np.radians(degrees), phase % 1)[:, 0]


def _sit_down(stage: Stage) -> FloatArray:
    bow: Pose = {"hip": 50, "knee": 72, "shoulder": 34, "nod": -15}
    bow |= {"lean": stage.rng.uniform(34, 48)}
    sit: Pose = {"hip": 86, "knee": 88, "lean": stage.rng.uniform(-6, 6), "spread": 6}
    sit |= {"shoulder": stage.rng.uniform(12, 20), "elbow": stage.rng.uniform(42, 52), "abduct": 6}
    return stage.keyed((0, {}), (0.5, bow), (1, sit))


def _pick_up(stage: Stage) -> FloatArray:
    # How far down: what is picked up stands on the floor, or on something.
    deep = stage.rng.choice([1, 1, stage.rng.uniform(0.55, 0.8)])
    arms: Pose = {"spread": 9, "abduct": 4, "rotate": 0}
    reach = arms | {"hip": 80 * deep, "knee": 108 * deep, "lean": 62 * deep, "curl": 20 * deep}
    reach |= {"shoulder": 50 + 62 * deep, "elbow": 4}
    carry = arms | {"shoulder": 24, "elbow": 76, "lean": -5}
    return stage.keyed((0, {}), (0.46, reach), (0.54, reach), (1, carry))


def _carton(stage: Stage, skeleton: Skeleton) -> Carton:
    """The carton that is grasped in the middle of `_pick_up`, and is then between the hands."""
    left, right = skeleton.joints["left_hand"], skeleton.joints["right_hand"]
    high, long = stage.body.height * stage.rng.uniform(0.09, 0.12, 2)
    centre, grasp = (left + right) / 2, int(np.argmax(stage.u >= 0.5))
    support = max(0.0, float(centre[grasp, 1] - high))
    if support < 0.05 * stage.body.height:
        support, high = 0.0, centre[grasp, 1]
    centre[:grasp] = centre[grasp]
    wide = np.abs(left - right)[-1, 0] / 2 - 0.02
    return Carton(centre, np.array([wide, high, long]), support)


# What an action is, and how many seconds it takes.
_ACTS: Final[Mapping[str, tuple[Callable[[Stage], FloatArray], tuple[float, float]]]] = {
    "clap": (_clap, (1.1, 2.2)),
    "jump": (_jump, (0.9, 1.6)),
    "kick": (_kick, (0.8, 1.6)),
    "pick_up": (_pick_up, (1.2, 2.4)),
    "sit_down": (_sit_down, (1.0, 2.0)),
    "squat": (_squat, (1.0, 2.2)),
    "walk": (_walk, (1.0, 2.4)),
    "wave": (_wave, (1.2, 2.4)),
}
# These are the same performances, played backwards.
BACKWARDS: Final = {"put_down": "pick_up", "stand_up": "sit_down"}
ACTIONS: Final = tuple(sorted([*_ACTS, *BACKWARDS]))
ORDER_PAIRS: Final = (("pick_up", "put_down"), ("sit_down", "stand_up"))


def draw_seconds(action: str, rng: np.random.Generator) -> float:
    """Draws how long an action takes."""
    return rng.uniform(*_ACTS[BACKWARDS.get(action, action)][1])


def perform(
    action: str,
    body: Body,
    num_frames: int,
    fps: float,
    rng: np.random.Generator,
    *,
    idle: float = 0.12,
) -> Performance:
    """Acts out one action from its beginning to its end; one of `BACKWARDS`, in forward order.

    Args:
        action: One of `ACTIONS`.
        body: Whose body.
        num_frames: Number of frames T, which the whole action takes.
        fps: Frames per second.
        rng: Draws how the action is done, this time.
        idle: Largest share of the frames in which the figure stands before, and after.
    """
    action = BACKWARDS.get(action, action)
    before, after = rng.uniform(0, idle, size=2)
    u = np.clip((np.linspace(0, 1, num_frames) - before) / (1 - before - after), 0, 1)
    stage = Stage(body, u, np.arange(num_frames) / fps, rng.uniform(0.88, 1.1), rng)
    angles = _ACTS[action][0](stage)
    # Bearing and slow sway, for nobody is a statue.
    for name, degrees in (("lean", 2.0), ("curl", 4.0), ("nod", 5.0), ("turn", 9.0)):
        sway = np.sin(2 * np.pi * (rng.uniform(0.2, 0.7) * stage.seconds + rng.uniform()))
        angles[:, COLUMN[name]] += np.radians(degrees) * (rng.normal() + sway) / 2
    if rng.uniform() < 0.5:
        angles = mirrored(angles)
    lift = _jump_height(stage) if action == "jump" else np.zeros(num_frames)
    skeleton = plant(forward_kinematics(body, angles), lift)
    return Performance(
        skeleton,
        angles,
        lift,
        seat=skeleton.joints["pelvis"][-1] if action == "sit_down" else None,
        carton=_carton(stage, skeleton) if action == "pick_up" else None,
    )
