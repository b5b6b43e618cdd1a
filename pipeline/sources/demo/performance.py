"""Performances, made of joint angles."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipeline.sources.demo.figure import (
    COLUMN,
    Body,
    FloatArray,
    Skeleton,
    forward_kinematics,
    mirrored,
    plant,
)


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


def act_out(stage: Stage, angles: FloatArray, lift: FloatArray | None = None) -> Performance:
    """Adds bearing and slow sway, for nobody is a statue, and puts the figure on the floor.

    Args:
        stage: Who acts, and when.
        angles: float64 (T, len(DOFS)), radians.
        lift: float64 (T,), metres above the floor; on the floor if None.
    """
    for name, degrees in (("lean", 2.0), ("curl", 4.0), ("nod", 5.0), ("turn", 9.0)):
        rate, phase = stage.rng.uniform(0.2, 0.7), stage.rng.uniform(0, 2 * np.pi)
        sway = np.sin(2 * np.pi * rate * stage.seconds + phase)
        angles[:, COLUMN[name]] += np.radians(degrees) * (stage.rng.normal() + sway) / 2
    if stage.rng.uniform() < 0.5:
        angles = mirrored(angles)
    lift = np.zeros(len(angles)) if lift is None else lift
    return Performance(plant(forward_kinematics(stage.body, angles), lift), angles, lift)
