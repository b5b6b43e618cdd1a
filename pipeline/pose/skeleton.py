"""The 33 key points of a person, and the limbs between them; left and right are the person's."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from itertools import pairwise

POINTS = (
    "nose",
    *("left_eye_inner", "left_eye", "left_eye_outer"),
    *("right_eye_inner", "right_eye", "right_eye_outer"),
    *("left_ear", "right_ear", "mouth_left", "mouth_right"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
)
"""Their names, in their order."""

NUM_POINTS = len(POINTS)

HANDS = range(POINTS.index("left_wrist"), POINTS.index("right_thumb") + 1)
"""The points of both hands."""


_OTHERS = {"left": "right", "right": "left", "l": "r", "r": "l"}


@functools.cache
def mirrored(names: tuple[str, ...]) -> tuple[int, ...]:
    """For each point, which one takes its place when left and right are exchanged.

    Two are a pair whose names differ in left and right, or in one letter l and r, of whatever case.

    Example:
        >>> mirrored(("nose", "earL", "earR", "Left_paw", "Right_paw", "tail"))
        (0, 2, 1, 4, 3, 5)
    """
    places = {name: number for number, name in enumerate(names)}
    others = [
        next((places[other] for other in _other_sides(name) if other in places), number)
        for number, name in enumerate(names)
    ]
    return tuple(
        other if others[other] == number else number for number, other in enumerate(others)
    )


def _other_sides(name: str) -> Iterator[str]:
    """Names that differ from one in its side."""
    for found in (*re.finditer("left|right", name, re.I), *re.finditer("[lr]", name, re.I)):
        word = found.group()
        other = _OTHERS[word.lower()]
        other = other.upper() if word.isupper() else other
        other = other.capitalize() if word.istitle() else other
        yield name[: found.start()] + other + name[found.end() :]


def sides(names: tuple[str, ...]) -> tuple[str, ...]:
    """For each point its side: left, right, or middle where it has no other.

    Example:
        >>> sides(("nose", "earL", "earR"))
        ('middle', 'left', 'right')
    """
    pairs = zip(names, (names[other] for other in mirrored(names)), strict=True)
    return tuple(_side(name.lower(), other.lower()) for name, other in pairs)


def _side(name: str, other: str) -> str:
    differ = next((a for a, b in zip(name, other, strict=False) if a != b), "")
    return {"l": "left", "r": "right", "": "middle"}[differ]


MIRRORED = mirrored(POINTS)
"""The same of these points."""


def _limbs(*chains: str) -> tuple[tuple[int, int], ...]:
    """Pairs of points that follow each other in chains of names."""
    names = [chain.split() for chain in chains]
    return tuple(
        (POINTS.index(here), POINTS.index(there))
        for chain in names
        for here, there in pairwise(chain)
    )


MIDDLE_LIMBS = _limbs(
    "left_shoulder right_shoulder", "left_hip right_hip", "mouth_left mouth_right"
)
"""Limbs of neither side, as pairs of points."""

LEFT_LIMBS = _limbs(
    "nose left_eye left_ear",
    "left_hip left_shoulder left_elbow left_wrist left_index",
    "left_hip left_knee left_ankle left_heel left_foot_index",
)
"""Limbs of the left side, as pairs of points."""

RIGHT_LIMBS = tuple((MIRRORED[here], MIRRORED[there]) for here, there in LEFT_LIMBS)
"""Limbs of the right side, as pairs of points."""


def _parts() -> dict[str, tuple[int, ...]]:
    found = {"head": ("nose", *(name for name in POINTS if "eye" in name or "ear" in name))}
    found["head"] += ("mouth_left", "mouth_right")
    several = {
        "hand": ("wrist", "pinky", "index", "thumb"),
        "foot": ("ankle", "heel", "foot_index"),
    }
    for side in ("left", "right"):
        for part in ("shoulder", "elbow", "hand", "hip", "knee", "foot"):
            names = several.get(part, (part,))
            found[f"{side} {part}"] = tuple(f"{side}_{name}" for name in names)
    return {part: tuple(map(POINTS.index, names)) for part, names in found.items()}


PARTS = _parts()
"""Parts of the body by name, with their points; each point is in one."""
