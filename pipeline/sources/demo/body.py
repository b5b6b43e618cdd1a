"""An articulated human figure: its proportions, its poses, and how it stands on the floor.

The figure's own axes are x to its left, y up, z to its front; lengths are in metres, angles in
radians. Angles of the legs and feet are measured against the upright, not against the trunk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

FloatArray = npt.NDArray[np.float64]

SIDES: Final = ("left", "right")
_LIMB_DOFS = ("hip", "spread", "knee", "foot", "shoulder", "abduct", "rotate", "elbow")
# The degrees of freedom, in the order of the columns of a pose array.
DOFS: Final = (
    *("lean", "curl", "twist", "sway", "nod", "turn"),
    *(f"{side}_{dof}" for side in SIDES for dof in _LIMB_DOFS),
)
COLUMN: Final = {name: column for column, name in enumerate(DOFS)}
SOLES: Final = tuple(f"{side}_{point}" for side in SIDES for point in ("heel", "toe"))
_TOE_OUT = np.radians(11)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Body:
    """Lengths of a body's segments in metres; `build` scales its thickness, 1 is average."""

    thigh: float
    shin: float
    ankle: float
    foot: float
    hip: float
    torso: float
    neck: float
    head: float
    shoulder: float
    upper_arm: float
    forearm: float
    hand: float
    build: float

    @property
    def height(self) -> float:
        """From sole to crown, standing straight."""
        return self.ankle + self.shin + self.thigh + self.torso + self.neck + 2 * self.head

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Body:
        """Draws a body: children and tall adults, slim and stout, long and short in the leg."""
        height = rng.uniform(1.3, 1.95)
        # Small bodies have larger heads and shorter legs.
        youth = (1.95 - height) / 0.65
        legs = height * rng.uniform(0.97, 1.03) * (1 - 0.05 * youth)
        arms = height * rng.uniform(0.96, 1.04)
        build = rng.uniform(0.92, 1.3)
        return cls(
            thigh=0.245 * legs,
            shin=0.242 * legs,
            ankle=0.042 * height,
            foot=0.15 * height,
            hip=0.052 * height * rng.uniform(0.9, 1.15) * build**0.5,
            torso=0.275 * height,
            neck=0.034 * height,
            head=0.072 * height * (1 + 0.25 * youth) * rng.uniform(0.96, 1.08),
            shoulder=0.108 * height * rng.uniform(0.92, 1.1) * build**0.3,
            upper_arm=0.175 * arms,
            forearm=0.145 * arms,
            hand=0.045 * arms,
            build=build,
        )


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """Places of the joints of a figure, frame by frame.

    Attributes:
        joints: Name to position, float64 (T, 3), metres.
        chest: Axes of the chest as columns, float64 (T, 3, 3).
        head: Axes of the head as columns, float64 (T, 3, 3).
    """

    joints: dict[str, FloatArray]
    chest: FloatArray
    head: FloatArray

    def moved(self, offset: FloatArray) -> Skeleton:
        """The same skeleton, shifted by `offset`, float64 (T, 3) or (3,)."""
        joints = {name: position + offset for name, position in self.joints.items()}
        return dataclasses.replace(self, joints=joints)

    def facing(self, heading: FloatArray | float) -> Skeleton:
        """The same skeleton, turned about the upright through the origin.

        Args:
            heading: float64 (T,) or (), radians, from the viewer (0) to the figure's left.
        """
        turn = rotation(1, heading)
        joints = {name: (turn @ at[..., None])[..., 0] for name, at in self.joints.items()}
        return Skeleton(joints, turn @ self.chest, turn @ self.head)


def rotation(axis: int, angle: FloatArray | float) -> FloatArray:
    """Rotation matrices about one coordinate axis.

    Args:
        axis: 0, 1 or 2 for x, y or z.
        angle: Radians, any shape S.

    Returns:
        float64 (*S, 3, 3).

    Example:
        >>> rotation(1, np.radians(90.0)).round() @ [0, 0, 1]
        array([1., 0., 0.])
    """
    angle = np.asarray(angle, np.float64)
    matrix = np.zeros((*angle.shape, 3, 3))
    j, k = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., j, j] = matrix[..., k, k] = np.cos(angle)
    matrix[..., k, j] = np.sin(angle)
    matrix[..., j, k] = -matrix[..., k, j]
    return matrix


def pose(degrees: Mapping[str, float]) -> FloatArray:
    """A pose from angles in degrees; the name of a limb's angle without a side means both sides.

    Example:
        >>> np.degrees(pose({"knee": 30})[[DOFS.index("left_knee"), DOFS.index("right_knee")]])
        array([30., 30.])
    """
    angles = np.zeros(len(DOFS))
    for name, value in degrees.items():
        names = (name,) if name in COLUMN else tuple(f"{side}_{name}" for side in SIDES)
        for each in names:
            angles[COLUMN[each]] = np.radians(value)
    return angles


def mirrored(angles: FloatArray) -> FloatArray:
    """The pose seen in a mirror: left and right change places, float64 (..., len(DOFS))."""
    swapped = angles.copy()
    for dof in _LIMB_DOFS:
        left, right = (COLUMN[f"{side}_{dof}"] for side in SIDES)
        swapped[..., [left, right]] = angles[..., [right, left]]
    swapped[..., [COLUMN[dof] for dof in ("twist", "sway", "turn")]] *= -1
    return swapped


def through(times: Sequence[float], values: FloatArray, at: FloatArray) -> FloatArray:
    """Goes smoothly and without overshoot through values (K, D) at given times, float64 (T, D)."""
    # Before the first and after the last it rests, as it does at both.
    level = np.concatenate([values[:1], values, values[-1:]])
    around = [times[0] - 1e-3, *times, times[-1] + 1e-3]
    found: FloatArray = PchipInterpolator(around, level)(np.clip(at, times[0], times[-1]))
    return found


def plateau(u: FloatArray, edge: float) -> FloatArray:
    """Rises from 0 to 1 within `edge`, and falls back within `edge` of the end."""
    s = np.clip(np.minimum(u, 1 - u) / edge, 0, 1)
    return s * s * (3 - 2 * s)


def forward_kinematics(body: Body, angles: FloatArray) -> Skeleton:
    """Joint positions from joint angles, with the pelvis at the origin.

    Args:
        body: Segment lengths.
        angles: float64 (T, len(DOFS)), radians.
    """
    by_name = dict(zip(DOFS, angles.T, strict=True))
    joints = {"pelvis": np.zeros((len(angles), 3))}
    spine = rotation(1, by_name["twist"] / 2) @ rotation(0, by_name["lean"])
    spine = spine @ rotation(2, by_name["sway"])
    chest = spine @ rotation(1, by_name["twist"] / 2) @ rotation(0, by_name["curl"])
    head = chest @ rotation(1, by_name["turn"]) @ rotation(0, by_name["nod"])
    joints["waist"] = spine @ [0, 0.4 * body.torso, 0]
    joints["neck"] = joints["waist"] + chest @ [0, 0.6 * body.torso, 0]
    joints["head"] = joints["neck"] + head @ [0, body.neck + body.head, 0.012]
    for side, sign in zip(SIDES, (1, -1), strict=True):
        limb = {dof: by_name[f"{side}_{dof}"] for dof in _LIMB_DOFS}
        shoulder = joints["neck"] + chest @ [sign * body.shoulder, -0.11 * body.torso, 0]
        found = _leg(body, sign, limb) | _arm(body, sign, limb, shoulder, chest)
        joints |= {f"{side}_{name}": position for name, position in found.items()}
    return Skeleton(joints, chest, head)


def _leg(body: Body, sign: int, angle: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    spread = rotation(2, sign * angle["spread"])
    thigh = spread @ rotation(0, -angle["hip"])
    shin = spread @ rotation(0, angle["knee"] - angle["hip"])
    foot = rotation(1, sign * _TOE_OUT) @ rotation(0, -angle["foot"])
    hip = np.broadcast_to([sign * body.hip, 0.0, 0.0], (len(thigh), 3))
    knee = hip + thigh @ [0, -body.thigh, 0]
    ankle = knee + shin @ [0, -body.shin, 0]
    heel, toe = (ankle + foot @ [0, -body.ankle, z * body.foot] for z in (-0.25, 0.75))
    return {"hip": hip, "knee": knee, "ankle": ankle, "heel": heel, "toe": toe}


def _arm(
    body: Body, sign: int, angle: Mapping[str, FloatArray], shoulder: FloatArray, chest: FloatArray
) -> dict[str, FloatArray]:
    upper = chest @ rotation(2, sign * angle["abduct"]) @ rotation(0, -angle["shoulder"])
    upper = upper @ rotation(1, sign * angle["rotate"])
    lower = upper @ rotation(0, -angle["elbow"])
    elbow = shoulder + upper @ [0, -body.upper_arm, 0]
    wrist = elbow + lower @ [0, -body.forearm, 0]
    hand = wrist + lower @ [0, -body.hand, 0]
    return {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "hand": hand}


def plant(skeleton: Skeleton, lift: FloatArray) -> Skeleton:
    """Puts the figure on the floor, y = 0, so that the foot it stands on does not slide.

    Args:
        skeleton: With the pelvis at the origin.
        lift: float64 (T,), metres between the floor and the lowest point of the soles.
    """
    soles = np.stack([skeleton.joints[name] for name in SOLES], axis=1)  # (T, 4, 3)
    root = np.zeros((len(soles), 3))
    # From one frame to the next, the point that is lowest in both is the one that stays.
    contact = np.argmin(soles[1:, :, 1] + soles[:-1, :, 1], axis=1)
    steps = np.take_along_axis(soles[:-1] - soles[1:], contact[:, None, None], axis=1)[:, 0]
    root[1:] = np.cumsum(steps, axis=0)
    root[:, 1] = lift - soles[:, :, 1].min(axis=1)
    return skeleton.moved(root)
