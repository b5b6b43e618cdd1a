"""What is seen of a figure and of things: the solids that they are drawn from."""

from __future__ import annotations

import colorsys
import dataclasses
from typing import Final

import numpy as np

from pipeline.sources.demo.actions import Carton
from pipeline.sources.demo.body import SIDES, Body, FloatArray, Skeleton, rotation
from pipeline.sources.demo.drawing import Colour, Solid

_SKINS: Final = ((255, 219, 190), (240, 194, 154), (214, 160, 116), (160, 108, 72), (104, 68, 48))
_HAIRS: Final = ((28, 22, 22), (70, 44, 30), (120, 74, 40), (200, 158, 84), (160, 70, 38))
_EYES: Final = (34, 30, 34)
_LIPS: Final = (168, 74, 70)
_CARTONS: Final = ((204, 160, 104), (196, 92, 70), (86, 130, 186), (226, 220, 206))
_WOOD: Final = (150, 100, 62)


def tone(hue: float, saturation: float, value: float) -> Colour:
    """RGB, 0 to 255, from hue (a full turn is 1), saturation and value, 0 to 1.

    Example:
        >>> tone(0, 1, 0.8)
        (204.0, 0.0, 0.0)
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return 255 * red, 255 * green, 255 * blue


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """Clothes, hair and colours of a figure.

    Attributes:
        skin: Colour.
        hair: Colour.
        shirt: Colour.
        stripe: Colour across the chest; that of the shirt: it is plain.
        trousers: Colour.
        shoes: Colour.
        style: Of the hair: `short`, `long` or `bun`.
        sleeves: Share of the arm that is covered, 0 to 1.
        legs: `trousers`, `shorts` or `skirt`.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    stripe: Colour
    trousers: Colour
    shoes: Colour
    style: str
    sleeves: float
    legs: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Look:
        """Draws clothes whose upper and lower half can be told apart."""
        hue, bright = rng.uniform(), rng.uniform() < 0.5
        shirt = tone(hue, rng.uniform(0.35, 0.85), 0.92 if bright else 0.6)
        striped = tone(hue + rng.choice([0.0, 0.5]), rng.uniform(0, 0.4), 0.98)
        legs, value = hue + rng.uniform(0.25, 0.75), 0.38 if bright else 0.75
        return cls(
            skin=_SKINS[rng.integers(len(_SKINS))],
            hair=_HAIRS[rng.integers(len(_HAIRS))],
            shirt=shirt,
            stripe=striped if rng.uniform() < 0.5 else shirt,
            trousers=tone(legs, rng.uniform(0.1, 0.6), value),
            shoes=tone(rng.uniform(), rng.uniform(0, 0.7), float(rng.choice([0.25, 0.5, 0.95]))),
            style=str(rng.choice(["short", "short", "long", "bun"])),
            sleeves=float(rng.choice([0.32, 1.0])),
            legs=str(rng.choice(["trousers", "trousers", "shorts", "skirt"])),
        )


def dress(body: Body, look: Look, skeleton: Skeleton) -> list[Solid]:
    """The solids of a dressed figure, in metres."""
    parts = [*_trunk(body, look, skeleton), *_head(body, look, skeleton)]
    for side in SIDES:
        parts += [
            *_leg(body, look, skeleton.joints, side),
            *_arm(body, look, skeleton.joints, side),
        ]
    return parts


def _trunk(body: Body, look: Look, skeleton: Skeleton) -> list[Solid]:
    joints, height, thick = skeleton.joints, body.height, body.height * body.build
    pelvis, waist, neck = joints["pelvis"], joints["waist"], joints["neck"]
    hips = (joints["left_hip"] - joints["right_hip"]) / (2 * body.hip) * thick
    chest, up = skeleton.chest[:, :, 0] * height, skeleton.chest[:, :, 1] * body.torso
    belly, breast = (0.062 * thick, 0.054 * thick), (0.054 * thick, 0.058 * thick)
    widths = (0.034 * body.build, body.shoulder / height - 0.048)
    top = neck - 0.15 * up
    parts = [
        Solid(pelvis, pelvis + 0.3 * (waist - pelvis), belly, look.trousers, hips, (0.041, 0.038)),
        Solid(pelvis, waist, belly, look.shirt, hips, (0.04, 0.034)),
        Solid(waist, top, breast, look.shirt, chest, widths),
        Solid(neck - 0.05 * up, joints["head"], (0.029 * height, 0.027 * height), look.skin),
    ]
    if look.stripe != look.shirt:
        low, high = (waist + share * (top - waist) for share in (0.6, 0.75))
        wide = widths[0] + 0.7 * (widths[1] - widths[0]) + 0.003
        parts.append(
            Solid(low, high, (0.058 * thick, 0.059 * thick), look.stripe, chest, (wide, wide))
        )
    if look.legs == "skirt":
        hem = pelvis + 0.85 * ((joints["left_knee"] + joints["right_knee"]) / 2 - pelvis)
        radii = (0.066 * thick, 0.045 * thick)
        parts.append(Solid(pelvis, hem, radii, look.trousers, hips, (0.04, 0.08)))
    return parts


def _head(body: Body, look: Look, skeleton: Skeleton) -> list[Solid]:
    size = body.head

    def at(x: float, y: float, z: float) -> FloatArray:
        return skeleton.joints["head"] + size * (skeleton.head @ [x, y, z])

    def ball(x: float, y: float, z: float, radius: float, colour: Colour) -> Solid:
        return Solid(at(x, y, z), at(x, y, z), (radius * size, radius * size), colour)

    parts = [
        ball(0, 0, 0, 1, look.skin),
        ball(0, -0.52, 0.16, 0.66, look.skin),
        ball(0, -0.22, 0.98, 0.17, look.skin),
        ball(0, 0.16, -0.19, 1.0, look.hair),
        *(ball(x, 0.02, 0.86, 0.14, _EYES) for x in (-0.36, 0.36)),
        *(ball(x, -0.62, 0.74, 0.1, _LIPS) for x in (-0.12, 0.12)),
    ]
    if look.style == "long":
        tips = skeleton.joints["neck"] - size * (skeleton.chest @ [0, 0.3, 0.75])
        across, radii = size * skeleton.head[:, :, 0], (0.85 * size, 0.45 * size)
        parts.append(Solid(at(0, 0, -0.3), tips, radii, look.hair, across, (0.15, 0.4)))
    if look.style == "bun":
        parts.append(ball(0, 0.75, -0.85, 0.42, look.hair))
    return parts


def _leg(body: Body, look: Look, joints: dict[str, FloatArray], side: str) -> list[Solid]:
    height, thick = body.height, body.height * body.build
    names = ("hip", "knee", "ankle", "heel", "toe")
    hip, knee, ankle, heel, toe = (joints[f"{side}_{name}"] for name in names)
    thigh = Solid(hip, knee, (0.054 * thick, 0.038 * thick), look.trousers)
    shin = Solid(knee, ankle, (0.037 * thick, 0.025 * thick), look.trousers)
    if look.legs != "trousers":
        shin = dataclasses.replace(shin, colour=look.skin)
        bare = Solid(hip, knee, (0.05 * thick, 0.036 * thick), look.skin)
        thigh = bare.part(0, 0.7 if look.legs == "shorts" else 0.3, look.trousers, 1.1)
        shins = [bare, shin, shin.part(0.75, 1, look.stripe)]
    else:
        shins = [shin]
    sole = 0.022 * height
    back, ball = heel + 0.1 * (toe - heel) + [0, sole, 0], toe - 0.1 * (toe - heel) + [0, sole, 0]
    shoes = [
        Solid(back, ball, (sole * 1.15, sole), look.shoes),
        Solid(back, ankle, (sole * 1.15, 0.026 * height), look.shoes),
    ]
    return [thigh, *shins, *shoes]


def _arm(body: Body, look: Look, joints: dict[str, FloatArray], side: str) -> list[Solid]:
    height, thick = body.height, body.height * body.build**0.7
    names = ("shoulder", "elbow", "wrist", "hand")
    shoulder, elbow, wrist, hand = (joints[f"{side}_{name}"] for name in names)
    upper = Solid(shoulder, elbow, (0.035 * thick, 0.028 * thick), look.shirt)
    lower = Solid(elbow, wrist, (0.027 * thick, 0.020 * thick), look.shirt)
    if look.sleeves < 1:
        sleeve = upper.part(0, 2 * look.sleeves, look.shirt, 1.1)
        upper, lower = (dataclasses.replace(each, colour=look.skin) for each in (upper, lower))
        upper_parts = [upper, sleeve]
    else:
        upper_parts = [upper]
    return [*upper_parts, lower, Solid(wrist, hand, (0.021 * height, 0.027 * height), look.skin)]


def chair(seat: FloatArray, height: float, rng: np.random.Generator) -> list[Solid]:
    """A chair, or a stool without a back.

    Args:
        seat: float64 (3,), the middle of the top of the seat.
        height: Of whom it is made for.
        rng: Draws its make.
    """
    wide, deep, thin = 0.115 * height, 0.12 * height, 0.011 * height
    colour = _varied(_WOOD, rng)
    (x, top, z), back = seat - [0, thin, 0], seat[2] - 1.15 * deep

    def solid(start: list[float], end: list[float], across: FloatArray | None = None) -> Solid:
        return Solid(np.array([start]), np.array([end]), (thin, thin), colour, across)

    across = np.array([[wide, 0, 0]])
    sides = (x - wide, x + wide)
    parts = [solid([x, top, z - deep], [x, top, z + deep], across)]
    parts += [
        solid([side, top, end], [side, thin, end]) for side in sides for end in (z - deep, z + deep)
    ]
    if rng.uniform() < 0.7:
        high, low = top + rng.uniform(0.22, 0.3) * height, top + rng.uniform(0.04, 0.12) * height
        parts += [solid([side, top, z - deep], [side, high, back]) for side in sides]
        parts.append(solid([x, low, z - 1.05 * deep], [x, high, back], across))
    return parts


def cartons(carton: Carton, headings: FloatArray | float, rng: np.random.Generator) -> list[Solid]:
    """A carton with a tape over its lid, and what it stands on before, in the world.

    Args:
        carton: Where it is, in the axes of the world.
        headings: Where it faces, float64 (T,) or (), radians.
        rng: Draws its colours.
    """
    paper = _varied(_CARTONS[rng.integers(len(_CARTONS))], rng)
    tape = (paper[0] * 0.4 + 140, paper[1] * 0.4 + 140, paper[2] * 0.4 + 140)
    turn = rotation(1, headings)
    solids = [solid.seen(turn, origin=carton.centre) for solid in _box(carton.half, paper, tape)]
    if carton.support > 0:
        half = carton.half * [1.25, 0, 1.25] + [0, carton.support / 2, 0]
        foot = np.array([carton.centre[0, 0], half[1], carton.centre[0, 2]])
        wood = _varied(_WOOD, rng)
        first = turn[0] if turn.ndim == 3 else turn
        solids += [solid.seen(first, origin=foot) for solid in _box(half, wood, wood)]
    return solids


def _box(half: FloatArray, colour: Colour, tape: Colour) -> list[Solid]:
    """A box around the origin; its bottom and its back are left out."""
    edge = 0.012
    x, y, z = np.diag(half - edge)[:, None]
    faces = [(y, x, z), (z, y, x), (x, y, z), (-x, y, z)]
    solids = [Solid(out - a, out + a, (edge, edge), colour, across) for out, a, across in faces]
    band = (edge * 1.1, edge * 1.1)
    return [*solids, Solid(y - 0.2 * x, y + 0.2 * x, band, tape, z)]


def _varied(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) * rng.uniform(0.75, 1.15), 0, 255).tolist()
    return red, green, blue
