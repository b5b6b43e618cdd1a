"""Looks of a figure: colours, clothes and hair, and the solids that it is drawn from."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from pipeline.sources.demo.drawing import Band, Cap, Solid
from pipeline.sources.demo.figure import SIDES, Body, FloatArray, Skeleton
from pipeline.sources.demo.painting import Colour, tone

SKIN, HAIR, SHIRT, STRIPE, TROUSERS, SHOES, EYES, LIPS, CARTON, TAPE, WOOD = range(1, 12)
_SKINS: Final = ((255, 219, 190), (240, 194, 154), (214, 160, 116), (160, 108, 72), (104, 68, 48))
_HAIRS: Final = (
    (28, 22, 22),
    (70, 44, 30),
    (120, 74, 40),
    (200, 158, 84),
    (160, 70, 38),
    (168, 168, 172),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """Clothes, hair and colours of a figure.

    Attributes:
        colours: Number of a colour to RGB, 0 to 255.
        hair: `short`, `long`, `bun` or `cap`.
        sleeves: Share of the arm that is covered, 0 to 1.
        legs: `trousers`, `shorts` or `skirt`.
        stripes: Number of stripes across the chest; 0 is plain.
    """

    colours: dict[int, Colour]
    hair: str
    sleeves: float
    legs: str
    stripes: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Look:
        """Draws clothes whose upper and lower half can be told apart."""
        hue = rng.uniform()
        bright = rng.uniform() < 0.5
        shirt = tone(hue, rng.uniform(0.35, 0.85), 0.92 if bright else 0.6)
        stripe = tone(hue + rng.choice([0.0, 0.5]), rng.uniform(0, 0.4), 0.98)
        trousers = tone(
            hue + rng.uniform(0.25, 0.75), rng.uniform(0.1, 0.6), 0.38 if bright else 0.75
        )
        shoes = tone(rng.uniform(), rng.uniform(0, 0.7), float(rng.choice([0.25, 0.5, 0.95])))
        colours = {
            SKIN: _SKINS[rng.integers(len(_SKINS))],
            HAIR: _HAIRS[rng.integers(len(_HAIRS))],
            SHIRT: shirt,
            STRIPE: stripe,
            TROUSERS: trousers,
            SHOES: shoes,
            EYES: (34, 30, 34),
            LIPS: (168, 74, 70),
        }
        return cls(
            colours=colours,
            hair=str(rng.choice(["short", "short", "long", "bun", "cap"])),
            sleeves=float(rng.choice([0.32, 0.95])),
            legs=str(rng.choice(["trousers", "trousers", "shorts", "skirt"])),
            stripes=int(rng.choice([0, 0, 1, 3])),
        )


def dress(body: Body, look: Look, skeleton: Skeleton) -> list[Solid]:
    """The solids of a dressed figure, in metres."""
    parts = [*_trunk(body, look, skeleton), *_head(body, look, skeleton)]
    for side in SIDES:
        parts += _leg(body, look, skeleton.joints, side)
        parts += _arm(body, look, skeleton.joints, side)
    return parts


def _trunk(body: Body, look: Look, skeleton: Skeleton) -> list[Solid]:
    joints, height = skeleton.joints, body.height
    thick = height * body.build
    pelvis, waist, neck = joints["pelvis"], joints["waist"], joints["neck"]
    hips = (joints["left_hip"] - joints["right_hip"]) / (2 * body.hip)
    chest = skeleton.chest[:, :, 0]
    up = skeleton.chest[:, :, 1]
    stripes = [0.85 - 0.28 * k for k in range(look.stripes)]
    bands = tuple(Band(top - 0.13, top, STRIPE) for top in stripes)
    belt = (Band(0, 0.3, TROUSERS), Band(0.3, 0.4, SHOES))
    top = neck - 0.15 * body.torso * up
    belly, breast = (0.062 * thick, 0.054 * thick), (0.054 * thick, 0.058 * thick)
    widths = (0.034 * body.build, body.shoulder / height - 0.048)
    parts = [
        Solid(pelvis, waist, belly, SHIRT, hips * thick, (0.04, 0.034), bands=belt),
        Solid(waist, top, breast, SHIRT, chest * height, widths, bands=bands),
        Solid(
            neck - 0.05 * body.torso * up, joints["head"], (0.029 * height, 0.027 * height), SKIN
        ),
    ]
    if look.legs == "skirt":
        knees = (joints["left_knee"] + joints["right_knee"]) / 2
        hem = pelvis + 0.85 * (knees - pelvis)
        parts.append(
            Solid(pelvis, hem, (0.066 * thick, 0.045 * thick), TROUSERS, hips * thick, (0.04, 0.08))
        )
    return parts


def _head(body: Body, look: Look, skeleton: Skeleton) -> list[Solid]:
    centre, size = skeleton.joints["head"], body.head
    left, up, front = (skeleton.head[:, :, axis] for axis in range(3))

    def towards(x: float, y: float, z: float) -> FloatArray:
        direction = x * left + y * up + z * front
        return direction / np.linalg.norm(direction, axis=1, keepdims=True)

    if look.hair == "cap":
        hair: tuple[Cap, ...] = (
            Cap(towards(0, -0.1, -1), 0.35, HAIR),
            Cap(towards(0, 1, -0.15), 0.3, SHIRT),
        )
    else:
        hair = (Cap(towards(0, 0.62, -0.75), 0.12, HAIR),)
    eyes = tuple(Cap(towards(x, -0.08, 1), 0.988, EYES) for x in (-0.42, 0.42))
    mouth = tuple(Cap(towards(x, -0.05, 1), 0.985, LIPS) for x in (-0.2, 0, 0.2))
    chin = centre - 0.52 * size * up + 0.16 * size * front
    nose = centre - 0.22 * size * up + 0.98 * size * front
    parts = [
        Solid(centre, centre, (size, size), SKIN, caps=(*hair, *eyes)),
        Solid(chin, chin, (0.66 * size, 0.66 * size), SKIN, caps=mouth),
        Solid(nose, nose, (0.17 * size, 0.17 * size), SKIN),
    ]
    if look.hair == "long":
        nape = centre - 0.3 * size * front
        tips = skeleton.joints["neck"] - 0.3 * size * up - 0.75 * size * skeleton.chest[:, :, 2]
        parts.append(Solid(nape, tips, (0.85 * size, 0.45 * size), HAIR, left * size, (0.15, 0.4)))
    if look.hair == "bun":
        bun = centre + 0.75 * size * up - 0.85 * size * front
        parts.append(Solid(bun, bun, (0.42 * size, 0.42 * size), HAIR))
    if look.hair == "cap":
        brim = centre + 0.38 * size * up + 0.7 * size * front
        edge, thin = brim + 0.75 * size * front, (0.1 * size, 0.08 * size)
        parts.append(Solid(brim, edge, thin, SHIRT, left * size, (0.65, 0.45)))
    return parts


def _leg(body: Body, look: Look, joints: dict[str, FloatArray], side: str) -> list[Solid]:
    height, thick = body.height, body.height * body.build
    hip, knee, ankle, heel, toe = (
        joints[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "heel", "toe")
    )
    bare = look.legs != "trousers"
    above = {"trousers": (), "shorts": (Band(0.75, 1.1, SKIN),), "skirt": (Band(0.3, 1.1, SKIN),)}
    below = (Band(0.7, 1.1, STRIPE),) if bare else (Band(0.93, 1.1, SHOES),)
    sole = 0.022 * height
    raised = np.array([0, sole, 0])
    back, ball = heel + 0.1 * (toe - heel), toe - 0.1 * (toe - heel)
    return [
        Solid(hip, knee, (0.054 * thick, 0.038 * thick), TROUSERS, bands=above[look.legs]),
        Solid(knee, ankle, (0.037 * thick, 0.025 * thick), SKIN if bare else TROUSERS, bands=below),
        Solid(back + raised, ball + raised, (sole * 1.15, sole), SHOES),
        Solid(back + raised, ankle, (sole * 1.15, 0.026 * height), SHOES),
    ]


def _arm(body: Body, look: Look, joints: dict[str, FloatArray], side: str) -> list[Solid]:
    height, thick = body.height, body.height * body.build**0.7
    shoulder, elbow, wrist, hand = (
        joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")
    )
    upper = (Band(2 * look.sleeves, 1.1, SKIN),)
    lower = (Band(2 * look.sleeves - 1, 1.1, SKIN),)
    return [
        Solid(shoulder, elbow, (0.035 * thick, 0.028 * thick), SHIRT, bands=upper),
        Solid(elbow, wrist, (0.027 * thick, 0.020 * thick), SHIRT, bands=lower),
        Solid(wrist, hand, (0.021 * height, 0.027 * height), SKIN),
    ]
