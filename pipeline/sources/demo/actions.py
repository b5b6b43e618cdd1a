"""The actions: joint-angle trajectories, and the things that they need (a chair, a carton)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from pipeline.sources.demo.curves import cycle, interpolate, plateau, row_at
from pipeline.sources.demo.figure import COLUMN, Body, FloatArray, forward_kinematics, plant, pose
from pipeline.sources.demo.performance import Carton, Performance, Stage, act_out

# Angles in degrees by their names; a pose is told by how it differs from standing at ease.
Pose = dict[str, float]

STAND: Final[Pose] = {"spread": 4, "knee": 4, "hip": 2, "abduct": 10, "elbow": 14}


def _keyed(u: FloatArray, times: Sequence[float], poses: Sequence[Pose]) -> FloatArray:
    """Angles, float64 (T, len(DOFS)), that go smoothly through poses at given times."""
    return interpolate(np.array(times), np.stack([pose({**STAND, **key}) for key in poses]), u)


def _wave(stage: Stage) -> Performance:
    up: Pose = {
        "left_abduct": stage.rng.uniform(102, 122),
        "left_rotate": 90,
        "left_elbow": 60,
        "left_shoulder": stage.rng.uniform(0, 15),
        "sway": -3,
    }
    angles = _keyed(stage.u, [0, 0.2, 0.8, 1], [{}, up, up, {}])
    swing = np.radians(38) * stage.size * plateau(stage.u, 0.2)
    rate = stage.rng.uniform(1.6, 2.4)
    angles[:, COLUMN["left_elbow"]] += swing * np.sin(2 * np.pi * rate * stage.seconds)
    return act_out(stage, angles)


def _clap(stage: Stage) -> Performance:
    shoulder = stage.rng.uniform(40, 62)
    wide: Pose = {"shoulder": shoulder, "elbow": 72, "abduct": 12, "rotate": 34 * stage.size}
    tight = wide | {"rotate": -60}
    # The hands meet where one of them reaches the middle of the body.
    across = np.linspace(0, 1, 33)
    reach = _keyed(across, [0, 1], [wide, tight])
    gap = forward_kinematics(stage.body, reach).joints["left_hand"][:, 0]
    closed = np.interp(0.03, gap[::-1], reach[::-1, COLUMN["left_rotate"]])
    angles = _keyed(stage.u, [0, 0.16, 0.84, 1], [{}, wide, wide, {}])
    rate = stage.rng.uniform(1.7, 2.8)
    share = plateau(stage.u, 0.16) * (0.5 - 0.5 * np.cos(2 * np.pi * rate * stage.seconds))
    for side in ("left", "right"):
        rotate = angles[:, COLUMN[f"{side}_rotate"]]
        angles[:, COLUMN[f"{side}_rotate"]] = rotate + share * (closed - rotate)
    return act_out(stage, angles)


def _jump(stage: Stage) -> Performance:
    size = stage.size
    crouch: Pose = {"hip": 46 * size, "knee": 86 * size, "lean": 38, "shoulder": -48, "nod": -18}
    leave: Pose = {"hip": 0, "knee": 4, "foot": -48, "lean": 3, "shoulder": 158, "elbow": 12}
    top: Pose = {"hip": 14, "knee": 34, "foot": -38, "lean": 6, "shoulder": 140, "elbow": 20}
    touch: Pose = {"hip": 12, "knee": 22, "foot": -12, "lean": 10, "shoulder": 70}
    land: Pose = {"hip": 42 * size, "knee": 76 * size, "lean": 30, "shoulder": 25, "nod": -10}
    angles = _keyed(
        stage.u, [0, 0.28, 0.42, 0.56, 0.7, 0.82, 1], [{}, crouch, leave, top, touch, land, {}]
    )
    flight = np.clip((stage.u - 0.42) / 0.28, 0, 1)
    rise = stage.body.height * stage.rng.uniform(0.13, 0.2) * size
    return act_out(stage, angles, lift=rise * 4 * flight * (1 - flight))


def _squat(stage: Stage) -> Performance:
    arms = stage.rng.uniform(60, 95)
    deep: Pose = {"hip": 88, "knee": 116, "lean": 40, "spread": 11, "shoulder": arms, "nod": -22}
    deep |= {"elbow": stage.rng.uniform(5, 40)}
    low: Pose = {name: value * min(stage.size, 1.05) for name, value in deep.items()}
    return act_out(stage, _keyed(stage.u, [0, 0.46, 0.54, 1], [{}, low, low, {}]))


def _kick(stage: Stage) -> Performance:
    high = stage.rng.uniform(58, 88) * stage.size
    back: Pose = {"right_hip": -30, "right_knee": 78, "right_foot": -75, "lean": 10, "twist": 12}
    back |= {"right_shoulder": 35, "left_shoulder": -32, "left_hip": 8, "left_knee": 14}
    strike: Pose = {"right_hip": high, "right_knee": 6, "right_foot": high - 35, "lean": -14}
    strike |= {"right_shoulder": -42, "left_shoulder": 62, "twist": -14, "left_knee": 8}
    strike |= {"left_abduct": 28, "right_abduct": 28}
    fold: Pose = {"right_hip": high * 0.6, "right_knee": 55, "right_foot": high * 0.6 - 65}
    angles = _keyed(stage.u, [0, 0.32, 0.52, 0.6, 0.76, 1], [{}, back, strike, strike, fold, {}])
    return act_out(stage, angles)


def _walk(stage: Stage) -> Performance:
    stride = stage.seconds * stage.rng.uniform(0.8, 1.15) + stage.rng.uniform()
    return act_out(stage, gait(stride, stage.size))


def gait(stride: FloatArray, size: float) -> FloatArray:
    """Angles of walking, float64 (T, len(DOFS)).

    Args:
        stride: float64 (T,), how many strides were made, of two steps each.
        size: Scales the steps, about 1.
    """
    angles = np.repeat(pose({**STAND, "lean": 4, "elbow": 24})[None], len(stride), axis=0)
    for side, other, phase in (
        ("left", "right", stride % 1),
        ("right", "left", (stride + 0.5) % 1),
    ):
        # Percent of the gait cycle, from one strike of the heel to the next.
        knee = cycle(phase, (0, 5), (0.14, 17), (0.4, 6), (0.6, 40), (0.74, 62), (0.95, 4))
        foot = cycle(phase, (0, 18), (0.1, 0), (0.42, 0), (0.62, -52), (0.86, 8), (0.95, 20))
        hip = cycle(phase, (0, 26), (0.52, -19), (0.86, 29))
        angles[:, COLUMN[f"{side}_knee"]] = knee * size
        angles[:, COLUMN[f"{side}_foot"]] = foot
        angles[:, COLUMN[f"{side}_hip"]] = hip * size
        angles[:, COLUMN[f"{other}_shoulder"]] = hip * size * 1.1
        angles[:, COLUMN[f"{other}_elbow"]] += np.maximum(hip, 0) * 0.7
    angles[:, COLUMN["twist"]] = np.radians(7) * np.cos(2 * np.pi * stride)
    return angles


def _sit_down(stage: Stage) -> Performance:
    bow: Pose = {
        "hip": 50,
        "knee": 72,
        "lean": stage.rng.uniform(34, 48),
        "shoulder": 34,
        "nod": -15,
    }
    sit: Pose = {"hip": 86, "knee": 88, "lean": stage.rng.uniform(-6, 6), "spread": 6}
    sit |= {"shoulder": stage.rng.uniform(12, 20), "elbow": stage.rng.uniform(42, 52), "abduct": 6}
    performance = act_out(stage, _keyed(stage.u, [0, 0.5, 1], [{}, bow, sit]))
    return dataclasses.replace(performance, seat=performance.skeleton.joints["pelvis"][-1])


def _pick_up(stage: Stage) -> Performance:
    high, long = stage.body.height * stage.rng.uniform(0.09, 0.12, 2)
    # It stands on the floor, or on something.
    support = stage.body.height * stage.rng.choice([0, 0, stage.rng.uniform(0.1, 0.22)])
    arms: Pose = {"spread": 9, "abduct": 4, "rotate": 0}
    slight = arms | {"hip": 8, "knee": 12, "lean": 24, "curl": 6, "shoulder": 62, "elbow": 10}
    deep = arms | {"hip": 80, "knee": 108, "lean": 62, "curl": 20, "shoulder": 112, "elbow": 4}
    # As far down as brings the hands to the middle of the carton.
    descent = _keyed(np.linspace(0, 1, 65), [0, 1], [slight, deep])
    bent = plant(forward_kinematics(stage.body, descent), np.zeros(65)).joints["left_hand"]
    grasp = row_at(descent, np.interp(support + high, bent[::-1, 1], np.arange(64, -1, -1)))
    carry: Pose = {**STAND, **arms, "shoulder": 24, "elbow": 76, "lean": -5}
    keys = np.stack([pose(STAND), grasp, grasp, pose(carry)])
    performance = act_out(stage, interpolate(np.array([0, 0.46, 0.54, 1]), keys, stage.u))
    left, right = (performance.skeleton.joints[f"{side}_hand"] for side in ("left", "right"))
    centre, held = (left + right) / 2, np.argmax(stage.u >= 0.5)
    # Between the hands, at the height that leaves it exactly on its support before.
    centre[:, 1] += support + high - centre[held, 1]
    centre[:held] = centre[held]
    wide = np.abs(left - right)[-1, 0] / 2 - 0.02
    carton = Carton(centre, np.array([wide, high, long]), float(support))
    return dataclasses.replace(performance, carton=carton)


# What an action is, and how many seconds it takes.
_ACTS: Final[Mapping[str, tuple[Callable[[Stage], Performance], tuple[float, float]]]] = {
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
    act, _ = _ACTS[BACKWARDS.get(action, action)]
    before, after = rng.uniform(0, idle, size=2)
    share = np.linspace(0, 1, num_frames)
    u = np.clip((share - before) / (1 - before - after), 0, 1)
    size = rng.uniform(0.88, 1.1)
    return act(Stage(body, u, np.arange(num_frames) / fps, size, rng))
